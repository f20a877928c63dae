//! Reading: claims, and how they end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use spanwright_core::{EncodedBatch, LossReason};

use super::{ClaimId, Claimed, Log, Position, Record};
use crate::format::{Damage, Found, Header, Scanner};
use crate::now::{Now, time_of};
use crate::volume::DamageTotal;
use crate::zstd::decompress;

/// How often a segment is tried that the disk does not let us read.
const MOST_FAILED_READS: u32 = 3;

/// What stands at a place, read.
enum Read {
    Record(Header, u64, Bytes),
    Damage(Damage),
    End,
}

impl Log {
    /// Reads the oldest request that nobody has claimed, and claims it.
    ///
    /// What is damaged or expired on the way is counted, and passed over.
    ///
    /// # Cost
    ///
    /// One read of the request's bytes, one checksum, one copy.
    pub fn claim(&mut self, now: Now) -> Option<Record> {
        while let Some(position) = self.next_position(now) {
            match self.read(position) {
                Ok(Read::Record(header, end, payload)) => {
                    self.advance(position, end, header.time);
                    if self.is_expired(now, header.time) {
                        self.settle(now.instant, position, end, 1, header.items.into());
                        self.lost(LossReason::Expired, header.items.into());
                        continue;
                    }
                    let batch = if header.kind.is_zstd {
                        decompress(&payload)
                    } else {
                        Ok(payload)
                    };
                    let Ok(payload) = batch else {
                        self.pass_damage(now, position, &unreadable(position, end, header));
                        continue;
                    };
                    let claimed = Claimed {
                        end,
                        items: header.items.into(),
                        is_detached: false,
                    };
                    self.claims.insert(position, claimed);
                    return Some(Record {
                        id: ClaimId(position),
                        batch: EncodedBatch::new([payload], header.items as usize, header.kind.priority),
                        written_at: time_of(header.time),
                    });
                }
                Ok(Read::Damage(damage)) => {
                    self.advance(position, damage.end, 0);
                    self.pass_damage(now, position, &damage);
                }
                Ok(Read::End) => self.advance(position, u64::MAX, 0),
                Err(error) => self.read_failed(now, position, &error),
            }
        }
        None
    }

    /// The claimed request was delivered, or need not be. Answers whether the claim was open.
    ///
    /// # Cost
    ///
    /// One small write without a sync, so that it survives the end of the process.
    pub fn ack(&mut self, now: Now, id: ClaimId) -> bool {
        let Some(claimed) = self.claims.remove(&id.0) else {
            return false;
        };
        self.counts.acked += claimed.items;
        self.close_claim(now, id.0, claimed);
        true
    }

    /// The claimed request was not delivered: somebody shall have it again. Answers whether the claim was open.
    pub fn release(&mut self, now: Now, id: ClaimId) -> bool {
        let Some(claimed) = self.claims.remove(&id.0) else {
            return false;
        };
        if claimed.is_detached {
            self.close_claim(now, id.0, claimed);
            self.lost(LossReason::SpoolFull, claimed.items);
        } else if self.was_read(id.0) {
            self.released.insert(id.0);
        }
        true
    }

    fn close_claim(&mut self, now: Now, position: Position, claimed: Claimed) {
        if claimed.is_detached {
            self.counts.pending -= claimed.items;
            self.counts.pending_records -= 1;
        } else {
            self.settle(now.instant, position, claimed.end, 1, claimed.items);
        }
    }

    /// Where the oldest request is that nobody has claimed: one that was given back, or the first unread one of the segment that is
    /// the oldest by the time of what was read of it last.
    fn next_position(&mut self, now: Now) -> Option<Position> {
        let returned = self.released.iter().find(|position| !self.waits(now, position));
        if let Some(position) = returned.copied() {
            self.released.remove(&position);
            return Some(position);
        }
        loop {
            let mut best: Option<(u64, Position)> = None;
            for (id, volume) in &self.volumes {
                // Lanes are read side by side, and each in order.
                let mut seen = [false; 2];
                for segment in volume.segments.values() {
                    let waits = segment.not_before.is_some_and(|until| now.instant < until);
                    if segment.is_read() || waits || seen[segment.lane.index()] {
                        continue;
                    }
                    seen[segment.lane.index()] = true;
                    let position = Position {
                        volume: *id,
                        seq: segment.seq,
                        at: segment.read_at,
                    };
                    if best.is_none_or(|(order, _)| segment.order() < order) {
                        best = Some((segment.order(), position));
                    }
                    if seen == [true; 2] {
                        break;
                    }
                }
            }
            let (_, position) = best?;
            let Some(next) = self.skip(position) else {
                return Some(position);
            };
            self.advance(position, next, 0);
        }
    }

    /// Whether the disk did not let us read there a moment ago.
    fn waits(&self, now: Now, position: &Position) -> bool {
        let volume = self.volumes.get(&position.volume);
        let segment = volume.and_then(|volume| volume.segments.get(&position.seq));
        let until = segment.and_then(|segment| segment.not_before);
        until.is_some_and(|until| now.instant < until)
    }

    /// Where to go on, if what stands here is settled or claimed already.
    fn skip(&self, position: Position) -> Option<u64> {
        let claimed = self.claims.get(&position).map(|claimed| claimed.end);
        let segment = self.volumes.get(&position.volume)?.segments.get(&position.seq)?;
        let settled = segment.settled.skip(position.at);
        claimed.or((settled > position.at).then_some(settled))
    }

    /// Whether the reader has passed this place.
    fn was_read(&self, position: Position) -> bool {
        let volume = self.volumes.get(&position.volume);
        let segment = volume.and_then(|volume| volume.segments.get(&position.seq));
        segment.is_some_and(|segment| position.at < segment.read_at)
    }

    /// The reader has passed what stands at `position`, unless it came back for it.
    fn advance(&mut self, position: Position, end: u64, time: u64) {
        let Some(volume) = self.volumes.get_mut(&position.volume) else {
            return;
        };
        let Some(segment) = volume.segments.get_mut(&position.seq) else {
            return;
        };
        if segment.read_at == position.at {
            segment.read_at = end.min(segment.len);
            segment.failed_reads = 0;
            segment.not_before = None;
            if time > segment.order() {
                segment.head_time = Some(time);
            }
            // A file that was taken away cannot be opened again, should somebody give back what was read of it.
            if segment.is_read() && segment.is_sealed && segment.synced >= segment.len && !volume.is_detached {
                segment.file = None;
            }
        }
    }

    fn read(&mut self, position: Position) -> io::Result<Read> {
        let fs = Arc::clone(&self.fs);
        let volume = self.volumes.get_mut(&position.volume);
        let segment = volume.and_then(|volume| volume.segments.get_mut(&position.seq));
        let segment = segment.ok_or(io::ErrorKind::NotFound)?;
        let file = segment.open(&*fs)?;
        let buffer = std::mem::take(&mut self.buffer);
        let mut scanner = Scanner::new(&*file, position.at, segment.len, true).with_buffer(buffer);
        let read = match scanner.step() {
            Ok(Found::Record { header, at, end }) => scanner
                .payload(at, end)
                .map(|payload| Read::Record(header, end, Bytes::copy_from_slice(payload))),
            Ok(Found::Damage(damage)) => Ok(Read::Damage(damage)),
            Ok(Found::End) => Ok(Read::End),
            Err(error) => Err(error),
        };
        self.buffer = scanner.into_buffer();
        read
    }

    /// Passes over what was whole when it was written or found, and is not any more. Its items stay pending until everything else in
    /// the segment is settled: what is left in the books then is what was lost, whatever a damaged header says.
    fn pass_damage(&mut self, now: Now, position: Position, damage: &Damage) {
        let damage = &Damage {
            end: self.reach(position, damage.end),
            ..*damage
        };
        let fs = Arc::clone(&self.fs);
        if let Some(volume) = self.volumes.get_mut(&position.volume)
            && let Some(path) = volume.segments.get(&position.seq).map(|segment| segment.path.clone())
        {
            volume.quarantine(&*fs, &path, position.seq, damage);
        }
        self.damaged(DamageTotal {
            records: damage.records,
            items: 0,
            bytes: damage.end - damage.at,
        });
        self.settle(now.instant, position, damage.end, 0, 0);
    }

    /// How far damage from `position` on goes at most: what somebody has in hand, or gave back, has an end of its own to come to.
    fn reach(&self, position: Position, end: u64) -> u64 {
        let behind = Position {
            at: position.at + 1,
            ..position
        };
        let last = Position { at: end, ..position };
        let claimed = self.claims.range(behind..last).next().map(|(other, _)| other.at);
        let returned = self.released.range(behind..last).next().map(|other| other.at);
        claimed.into_iter().chain(returned).fold(end, u64::min)
    }

    fn read_failed(&mut self, now: Now, position: Position, error: &io::Error) {
        let retry_at = now.instant + self.config.retry_interval;
        let Some(volume) = self.volumes.get_mut(&position.volume) else {
            return;
        };
        let is_gone = error.kind() == io::ErrorKind::NotFound || volume.is_detached;
        let Some(segment) = volume.segments.get_mut(&position.seq) else {
            return;
        };
        segment.failed_reads += 1;
        segment.not_before = Some(retry_at);
        segment.file = segment.file.take().filter(|_| !segment.is_sealed);
        if is_gone || segment.failed_reads >= MOST_FAILED_READS {
            segment.is_bad = !is_gone;
            self.drop_segment(now, position.volume, position.seq, LossReason::Corrupt);
        } else if position.at < segment.read_at {
            // It had been given back, and still is.
            self.released.insert(position);
        }
    }

    pub(super) fn is_expired(&self, now: Now, written: u64) -> bool {
        let age = now.time.duration_since(time_of(written)).unwrap_or_default();
        age > self.config.max_age
    }
}

/// A record whose checksum holds and whose payload cannot be decompressed all the same.
fn unreadable(position: Position, end: u64, header: Header) -> Damage {
    Damage {
        at: position.at,
        end,
        records: 1,
        items: header.items.into(),
        is_torn: false,
    }
}
