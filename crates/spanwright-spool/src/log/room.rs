//! The bound: what gives way, and how its room becomes free.

use std::io;
use std::sync::Arc;

use spanwright_core::{LossReason, Priority};

use super::{Log, Position, VolumeId};
use crate::commit::{Doomed, remove_segment};
use crate::config::FullPolicy;
use crate::format::SEGMENT_HEADER_LEN;
use crate::now::Now;
use crate::segment::Pending;

impl Log {
    /// Makes room for `need` bytes, as the policy has it. What is delivered gives way first, and nothing is lost by that.
    pub(super) fn make_room(&mut self, now: Now, need: u64, lane: Priority) -> bool {
        while self.used + need > self.config.max_bytes {
            let victim = match self.oldest(|segment| segment.is_settled() && segment.len > SEGMENT_HEADER_LEN) {
                Some(settled) => settled,
                None => {
                    let Some((volume, seq)) = self.victim(lane) else {
                        return false;
                    };
                    self.drop_segment(now, volume, seq, LossReason::SpoolFull);
                    (volume, seq)
                }
            };
            self.seal(victim.0, victim.1);
            if let Err(error) = self.reclaim(victim.0) {
                self.degrade(now, error);
                return false;
            }
        }
        true
    }

    /// The segment that gives way to a request of this lane.
    fn victim(&self, lane: Priority) -> Option<(VolumeId, u64)> {
        let of = |lane: Priority| self.oldest(move |segment| segment.lane == lane && segment.pending.records > 0);
        match self.config.full_policy {
            FullPolicy::DropNewest => None,
            FullPolicy::DropOldest => self.oldest(|segment| segment.pending.records > 0),
            FullPolicy::HighPriorityLast => {
                of(Priority::Normal).or_else(|| (lane == Priority::High).then(|| of(Priority::High)).flatten())
            }
        }
    }

    fn oldest(&self, is_wanted: impl Fn(&crate::segment::Segment) -> bool) -> Option<(VolumeId, u64)> {
        let segments = self.volumes.iter().flat_map(|(id, volume)| {
            let segments = volume.segments.values().filter(|segment| is_wanted(segment));
            segments.map(move |segment| (segment.created, *id, segment.seq))
        });
        segments.min().map(|(_, id, seq)| (id, seq))
    }

    /// Gives up what is pending in a segment and not claimed. What is claimed is in its claimer's memory, and no longer on disk.
    pub(super) fn drop_segment(&mut self, now: Now, volume: VolumeId, seq: u64, reason: LossReason) {
        self.seal(volume, seq);
        let claimed = self.claimed_in(volume, seq);
        for (position, claimed) in &mut self.claims {
            claimed.is_detached |= (position.volume, position.seq) == (volume, seq);
        }
        self.released
            .retain(|position| (position.volume, position.seq) != (volume, seq));
        let Some(segment) = self
            .volumes
            .get_mut(&volume)
            .and_then(|volume| volume.segments.get_mut(&seq))
        else {
            return;
        };
        let lost = Pending {
            records: segment.pending.records - claimed.records,
            items: segment.pending.items - claimed.items,
        };
        // The claimed ones stay in our own books, without a segment.
        segment.pending = lost;
        segment.read_at = segment.len;
        let (start, end) = (SEGMENT_HEADER_LEN, segment.len);
        let position = Position { volume, seq, at: start };
        self.settle(now.instant, position, end, lost.records, lost.items);
        self.lost(reason, lost.items);
    }

    pub(super) fn claimed_in(&self, volume: VolumeId, seq: u64) -> Pending {
        let place = |at| Position { volume, seq, at };
        let claims = self.claims.range(place(0)..=place(u64::MAX));
        let claims = claims.filter(|(_, claimed)| !claimed.is_detached);
        claims.fold(Pending::default(), |sum, (_, claimed)| Pending {
            records: sum.records + 1,
            items: sum.items + claimed.items,
        })
    }

    pub(super) fn seal(&mut self, volume: VolumeId, seq: u64) {
        if let Some(volume) = self.volumes.get_mut(&volume) {
            for active in volume.active.iter_mut().filter(|active| **active == Some(seq)) {
                *active = None;
            }
            if let Some(segment) = volume.segments.get_mut(&seq) {
                segment.is_sealed = true;
            }
        }
    }

    /// Removes what is settled in a directory, here and now: first the cursor, then the files.
    fn reclaim(&mut self, id: VolumeId) -> io::Result<()> {
        let fs = Arc::clone(&self.fs);
        let Some(volume) = self.volumes.get_mut(&id) else {
            return Ok(());
        };
        let doomed = doom(volume);
        if !volume.is_detached {
            let snapshot = volume.snapshot();
            let written = volume.cursor_file.write(&*fs, &volume.dir, &snapshot);
            match written {
                Ok(()) => volume.snapshot_done(&*fs, snapshot.number),
                Err(error) => {
                    volume.is_cursor_dirty = true;
                    return Err(error);
                }
            }
        }
        for doomed in doomed {
            remove_segment(&*fs, &doomed)?;
            self.removed(id, doomed.seq);
        }
        Ok(())
    }

    /// A segment's file is gone.
    pub(super) fn removed(&mut self, volume: VolumeId, seq: u64) {
        if let Some(volume) = self.volumes.get_mut(&volume)
            && let Some(segment) = volume.segments.remove(&seq)
        {
            self.used -= segment.size;
        }
    }
}

/// Marks the segments that are to be removed, and lists them with those that were marked before.
pub(super) fn doom(volume: &mut crate::volume::Volume) -> Vec<Doomed> {
    let settled = volume.segments.values_mut();
    let settled = settled.filter(|segment| segment.is_sealed && segment.is_settled());
    settled
        .map(|segment| {
            segment.is_doomed = true;
            Doomed {
                seq: segment.seq,
                path: segment.path.clone(),
                is_bad: segment.is_bad,
            }
        })
        .collect()
}
