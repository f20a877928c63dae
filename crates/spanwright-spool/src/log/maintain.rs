//! What is done beside writing and reading: when it is due, and what came of it.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{LossReason, Priority};

use super::room::doom;
use super::{IDLE, Log, VolumeId};
use crate::commit::{Adopt, Commit, Committed, Part, Probe, ProbeDone, ToSync};
use crate::notice::Notice;
use crate::now::Now;
use crate::volume::Volume;

impl Log {
    /// What is due now, to be run wherever it may wait, and then to be given to [`committed`](Self::committed). `None`: nothing is, or
    /// a commit is under way.
    pub fn poll(&mut self, now: Now) -> Option<Commit> {
        if self.is_committing {
            return None;
        }
        self.expire(now);
        self.seal_idle(now);
        let may_commit = self.commit_not_before.is_none_or(|until| now.instant >= until);
        let is_old = self
            .dirty_since
            .is_some_and(|since| now.instant.saturating_duration_since(since) >= self.config.sync_interval());
        let is_commit_due = may_commit && (is_old || self.is_flush_wanted);
        let is_probe_due = self.trouble.is_some_and(|trouble| now.instant >= trouble.retry_at) && !self.is_closed;
        let is_adoption_due = now.instant >= self.adopt_at && !self.is_closed;
        if !(is_commit_due || is_probe_due || is_adoption_due) {
            return None;
        }
        Some(self.prepare(now, is_probe_due, is_adoption_due))
    }

    /// When [`poll`](Self::poll) is to be called again at the latest, unless something is written or settled before.
    #[must_use]
    pub fn next_poll(&self) -> Instant {
        let mut next = self.adopt_at;
        if let Some(since) = self.dirty_since {
            let due = since + self.config.sync_interval();
            next = next.min(self.commit_not_before.map_or(due, |until| due.max(until)));
        }
        if let Some(trouble) = self.trouble {
            next = next.min(trouble.retry_at);
        }
        next
    }

    /// Makes the next [`poll`](Self::poll) prepare a commit, however young what it makes durable is.
    pub fn request_flush(&mut self) {
        self.is_flush_wanted = true;
        self.commit_not_before = None;
    }

    /// Ends the log: nothing is taken any more. The commit is the last one. If another is under way, its result may still come.
    pub fn close(&mut self, now: Now) -> Commit {
        self.is_closed = true;
        self.expire(now);
        self.seal_active();
        self.prepare(now, false, false)
    }

    /// Lets go of every directory, so that others may have them. For after the last commit.
    pub fn release_directories(&mut self) {
        self.is_closed = true;
        self.volumes.clear();
        self.claims.clear();
        self.released.clear();
        self.own = None;
    }

    fn prepare(&mut self, now: Now, is_probe_due: bool, is_adoption_due: bool) -> Commit {
        self.is_committing = true;
        self.is_flush_wanted = false;
        self.dirty_since = None;
        // A directory that was taken away cannot be written to, and what is gone with it is no reason to leave the disk alone.
        self.volumes
            .values_mut()
            .for_each(|volume| volume.is_detached = !volume.is_attached());
        let own = self.own;
        let parts = self
            .volumes
            .iter_mut()
            .map(|(id, volume)| part(*id, volume, own == Some(*id), is_adoption_due))
            .collect();
        let probe = is_probe_due.then(|| {
            let own = self.own.and_then(|own| self.volumes.get_mut(&own));
            Probe {
                own: own.map(|volume| {
                    volume.next_seq += 1;
                    (volume.dir.clone(), volume.next_seq - 1, volume.is_attached())
                }),
                nanos: now.nanos(),
            }
        });
        let adopt = is_adoption_due.then(|| {
            self.adopt_at = now.instant + self.config.adopt_interval;
            Adopt {
                known: self
                    .volumes
                    .values()
                    .map(|volume| volume.number)
                    .chain(self.left.iter().copied())
                    .collect(),
            }
        });
        Commit {
            fs: Arc::clone(&self.fs),
            root: self.config.directory.clone(),
            written: self.written,
            parts,
            probe,
            adopt,
        }
    }

    /// A commit has run.
    pub fn committed(&mut self, now: Now, done: Committed) {
        self.is_committing = false;
        let mut failure = None;
        for part in done.parts {
            let fs = Arc::clone(&self.fs);
            let Some(volume) = self.volumes.get_mut(&part.volume) else {
                continue;
            };
            for synced in part.synced {
                let segment = volume.segments.get_mut(&synced.seq);
                match (segment, synced.result) {
                    (Some(segment), Ok(())) => segment.synced = segment.synced.max(synced.up_to),
                    (None, Ok(())) => {}
                    // It is gone because it is settled: no more has to become of it.
                    (None, Err(_)) => {}
                    (Some(segment), Err(error)) => {
                        segment.is_suspect = true;
                        segment.is_sealed = true;
                        let seq = segment.seq;
                        for active in volume.active.iter_mut().filter(|active| **active == Some(seq)) {
                            *active = None;
                        }
                        failure = Some(error);
                    }
                }
            }
            let named = volume.segments.range_mut(..part.next_seq);
            let unnamed = named.map(|(_, segment)| segment).filter(|segment| !segment.is_named);
            match part.dir {
                None => {}
                Some(Ok(())) => unnamed.for_each(|segment| segment.is_named = true),
                Some(Err(error)) => {
                    unnamed.for_each(|segment| segment.is_suspect = true);
                    failure = Some(error);
                }
            }
            match part.cursor {
                None => {}
                Some((number, Ok(()))) => volume.snapshot_done(&*fs, number),
                Some((_, Err(error))) => {
                    volume.is_cursor_dirty = true;
                    failure = Some(error);
                }
            }
            if let Some(error) = part.removal {
                volume.is_cursor_dirty = true;
                failure = Some(error);
            }
            let read: Vec<_> = part
                .read
                .into_iter()
                .map(|(seq, recovered)| volume.read_again(&*fs, seq, recovered))
                .collect();
            for survey in read {
                self.book(&survey);
                self.touch(now.instant);
            }
            for seq in part.removed {
                self.removed(part.volume, seq);
            }
            if part.is_retired
                && let Some(volume) = self.volumes.remove(&part.volume)
                && part.is_left
            {
                self.left.insert(volume.number);
            }
        }
        let is_suspect = self.volumes.values().any(|volume| {
            let mut pending = volume.segments.values().filter(|segment| !segment.is_settled());
            pending.any(|segment| segment.is_suspect || volume.is_detached)
        });
        if !is_suspect {
            self.durable = self.durable.max(done.written);
        }
        for (volume, survey) in done.adopted {
            self.add(volume, &survey);
            self.touch(now.instant);
        }
        match done.probe {
            None => {}
            Some(Ok(probe)) => self.recover(now, probe, failure.is_none()),
            Some(Err(error)) => self.degrade(now, error),
        }
        self.commit_not_before = None;
        if let Some(error) = failure {
            self.commit_not_before = Some(now.instant + self.config.retry_interval);
            self.touch(now.instant);
            self.degrade(now, error);
        } else if self.volumes.values().any(|volume| volume.is_cursor_dirty) {
            self.touch(now.instant);
        }
    }

    /// The disk took a new segment: it is the one that is written to now.
    fn recover(&mut self, now: Now, probe: ProbeDone, is_well: bool) {
        let ProbeDone { volume, segment } = probe;
        if let Some(volume) = volume {
            self.own = Some(self.add(volume, &crate::volume::Survey::default()));
        }
        let Some(own) = self.own.and_then(|own| self.volumes.get_mut(&own)) else {
            return;
        };
        own.next_seq = own.next_seq.max(segment.seq + 1);
        own.active[Priority::Normal.index()] = Some(segment.seq);
        self.used += segment.size;
        own.segments.insert(segment.seq, segment);
        if is_well && let Some(trouble) = self.trouble.take() {
            let outage = now.instant.saturating_duration_since(trouble.since);
            self.notices.push(Notice::Recovered { outage });
        }
    }

    /// Drops what is too old to be of use to anybody.
    fn expire(&mut self, now: Now) {
        let old: Vec<(VolumeId, u64)> = self
            .volumes
            .iter()
            .flat_map(|(id, volume)| volume.segments.values().map(move |segment| (*id, segment)))
            .filter(|(_, segment)| segment.pending.records > 0 && self.is_expired(now, segment.newest))
            .map(|(id, segment)| (id, segment.seq))
            .collect();
        for (volume, seq) in old {
            if self.claimed_in(volume, seq) == crate::segment::Pending::default() {
                self.drop_segment(now, volume, seq, LossReason::Expired);
            }
        }
    }

    /// Closes segments that have nothing for anybody, so that an empty spool takes no room.
    fn seal_idle(&mut self, now: Now) {
        if now.instant.saturating_duration_since(self.last_write) < IDLE {
            return;
        }
        let mut is_changed = false;
        for volume in self.volumes.values_mut() {
            for active in &mut volume.active {
                let segment = active.and_then(|seq| volume.segments.get_mut(&seq));
                if let Some(segment) = segment.filter(|segment| segment.is_settled()) {
                    segment.is_sealed = true;
                    *active = None;
                    is_changed = true;
                }
            }
        }
        if is_changed {
            self.touch(now.instant);
        }
    }
}

/// What is to be done in one directory.
fn part(id: VolumeId, volume: &mut Volume, is_own: bool, is_adoption_due: bool) -> Part {
    let doomed = doom(volume);
    let to_sync = volume.segments.values().filter(|segment| {
        segment.synced < segment.len && !segment.is_suspect && !segment.is_doomed && !segment.is_settled()
    });
    let to_sync = to_sync
        .map(|segment| ToSync {
            seq: segment.seq,
            path: segment.path.clone(),
            file: segment.file.clone(),
            up_to: segment.len,
        })
        .collect();
    let unreadable = volume.unreadable().filter(|_| is_adoption_due);
    let unreadable = unreadable.map(|(seq, settled)| (seq, settled.clone())).collect();
    let is_cursor_due = volume.is_cursor_dirty || !doomed.is_empty();
    let is_retired = !is_own && volume.is_done();
    let snapshot = (is_cursor_due && !volume.is_detached).then(|| volume.snapshot());
    Part {
        volume: id,
        dir: volume.dir.clone(),
        is_detached: volume.is_detached,
        to_sync,
        is_dir_dirty: std::mem::take(&mut volume.is_dir_dirty),
        next_seq: volume.next_seq,
        cursor_file: Arc::clone(&volume.cursor_file),
        snapshot,
        doomed,
        unreadable,
        is_retired,
    }
}
