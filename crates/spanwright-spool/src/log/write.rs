//! Writing.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use spanwright_core::{EncodedBatch, Priority};

use super::{ClaimId, Claimed, Log, Position, VolumeId, Written};
use crate::config::FullPolicy;
use crate::format::{HEADER_LEN, Header, Kind, MAX_ITEMS, MAX_PAYLOAD, SEGMENT_HEADER_LEN};
use crate::fs::FsFile;
use crate::now::Now;
use crate::refused::{Refused, RefusedReason};
use crate::segment::{Segment, append_all};

/// How many runs of bytes are given to the system at once. A request has a few dozen.
const MOST_SLICES: usize = 64;

impl Log {
    /// Writes a request, to be read later. When this returns it is safe from the end of the process; for the end of the machine
    /// see [`durable`](Self::durable).
    ///
    /// # Errors
    ///
    /// It was not taken, and is given back with the reason. Nothing of it stays on disk.
    ///
    /// # Cost
    ///
    /// One system call to see that the file is still there, one to write, and a checksum; nothing is copied and nothing allocated.
    /// A new segment, every 8 MiB, costs the making of a file. At the bound, making room costs the syncs of a cursor.
    pub fn write(&mut self, now: Now, batch: EncodedBatch) -> Result<Written, Refused> {
        self.put(now, batch, false).map(|(written, _)| written)
    }

    /// Writes a request that the caller goes on to deliver by itself: claimed from the beginning, so that nobody reads it meanwhile.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_claimed(&mut self, now: Now, batch: EncodedBatch) -> Result<(Written, ClaimId), Refused> {
        self.put(now, batch, true)
    }

    fn put(&mut self, now: Now, batch: EncodedBatch, is_claimed: bool) -> Result<(Written, ClaimId), Refused> {
        match self.try_put(now, &batch, is_claimed) {
            Ok(done) => Ok(done),
            Err(reason) => {
                self.counts.refused += 1;
                Err(Refused::new(batch, reason))
            }
        }
    }

    fn try_put(
        &mut self,
        now: Now,
        batch: &EncodedBatch,
        is_claimed: bool,
    ) -> Result<(Written, ClaimId), RefusedReason> {
        if self.is_closed {
            return Err(RefusedReason::AlreadyShutdown);
        }
        let (Some(own), None) = (self.own, self.trouble) else {
            return Err(RefusedReason::Degraded);
        };
        let compressed = self.compress(batch);
        let parts = compressed.as_ref().map_or(batch.segments(), std::slice::from_ref);
        let kind = Kind {
            priority: batch.priority(),
            is_zstd: compressed.is_some(),
        };
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let items = batch.item_count() as u64;
        let need = HEADER_LEN + len;
        if len.max(batch.len() as u64) > MAX_PAYLOAD
            || items > MAX_ITEMS
            || need + SEGMENT_HEADER_LEN > self.config.max_bytes
        {
            return Err(RefusedReason::TooLarge);
        }
        let head = Header::bytes(
            kind,
            items as u32,
            now.nanos(),
            len as u32,
            parts.iter().map(|part| &part[..]),
        );
        let lane = match self.config.full_policy {
            FullPolicy::HighPriorityLast => batch.priority(),
            FullPolicy::DropNewest | FullPolicy::DropOldest => Priority::Normal,
        };
        let seq = self.ready_segment(now, own, lane, need)?;
        let position = self.append(now, own, seq, &head, parts, items)?;
        if is_claimed {
            let claimed = Claimed {
                end: position.at + need,
                items,
                is_detached: false,
            };
            self.claims.insert(position, claimed);
        }
        self.written += 1;
        self.counts.written += items;
        self.counts.pending += items;
        self.counts.pending_records += 1;
        self.last_write = now.instant;
        self.touch(now.instant);
        Ok((Written(self.written), ClaimId(position)))
    }

    #[cfg(feature = "zstd")]
    fn compress(&self, batch: &EncodedBatch) -> Option<Bytes> {
        if !self.config.compression {
            return None;
        }
        let bytes = batch.compressed(spanwright_core::ContentEncoding::Zstd, crate::zstd::compress);
        bytes.ok().flatten().filter(|bytes| bytes.len() < batch.len())
    }

    #[cfg(not(feature = "zstd"))]
    fn compress(&self, _: &EncodedBatch) -> Option<Bytes> {
        None
    }

    /// The segment that has room for `need` bytes more, within the bound.
    fn ready_segment(&mut self, now: Now, own: VolumeId, lane: Priority, need: u64) -> Result<u64, RefusedReason> {
        let segment_bytes = self.config.segment_bytes;
        let fits =
            |segment: &Segment| segment.len == SEGMENT_HEADER_LEN || segment.len.saturating_add(need) <= segment_bytes;
        let active = |log: &mut Self| -> Option<u64> {
            let volume = log.volumes.get_mut(&own)?;
            let seq = volume.active[lane.index()]?;
            let segment = volume.segments.get_mut(&seq)?;
            if fits(segment) {
                return Some(seq);
            }
            segment.is_sealed = true;
            volume.active[lane.index()] = None;
            None
        };
        let extra = if active(self).is_some() { 0 } else { SEGMENT_HEADER_LEN };
        if !self.make_room(now, need + extra, lane) {
            return Err(if self.trouble.is_some() {
                RefusedReason::Degraded
            } else {
                RefusedReason::Full
            });
        }
        // Making room may have taken the very segment.
        if let Some(seq) = active(self) {
            return Ok(seq);
        }
        self.open_segment(now, own, lane).map_err(|error| {
            self.degrade(now, error);
            RefusedReason::Degraded
        })
    }

    fn open_segment(&mut self, now: Now, own: VolumeId, lane: Priority) -> io::Result<u64> {
        let fs = Arc::clone(&self.fs);
        let volume = self.volumes.get_mut(&own).ok_or(io::ErrorKind::NotFound)?;
        if !volume.is_attached() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let seq = volume.next_seq;
        volume.next_seq += 1; // whatever comes of it, the number is used
        let segment = Segment::create(&*fs, &volume.dir, seq, lane, now.nanos())?;
        self.used += segment.size;
        volume.is_dir_dirty = true;
        volume.active[lane.index()] = Some(seq);
        volume.segments.insert(seq, segment);
        Ok(seq)
    }

    fn append(
        &mut self,
        now: Now,
        own: VolumeId,
        seq: u64,
        head: &[u8],
        parts: &[Bytes],
        items: u64,
    ) -> Result<Position, RefusedReason> {
        let Some(volume) = self.volumes.get_mut(&own) else {
            return Err(RefusedReason::Degraded);
        };
        let Some(segment) = volume.segments.get_mut(&seq) else {
            return Err(RefusedReason::Degraded);
        };
        let Some(file) = segment.file.clone() else {
            return Err(RefusedReason::Degraded);
        };
        // A file that was removed, or whose directory was moved away, takes what is written to it, and nobody finds it again.
        let result = if file.is_at(&segment.path) {
            append_record(&*file, head, parts)
        } else {
            Err(io::ErrorKind::NotFound.into())
        };
        let at = segment.len;
        if let Err(error) = result {
            if file.set_size(at).is_err() {
                // What came of the write stays behind the end; whoever reads this file later shall not take it for a loss.
                segment.settled.insert(at, u64::MAX);
                volume.is_cursor_dirty = true;
            }
            self.degrade(now, error);
            return Err(RefusedReason::Degraded);
        }
        let len = head.len() as u64 + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        segment.len += len;
        segment.size += len;
        segment.pending.records += 1;
        segment.pending.items += items;
        segment.newest = segment.newest.max(now.nanos());
        self.used += len;
        Ok(Position { volume: own, seq, at })
    }
}

fn append_record(file: &dyn FsFile, head: &[u8], parts: &[Bytes]) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); MOST_SLICES];
    slices[0] = IoSlice::new(head);
    let mut count = 1;
    for part in parts {
        if count == MOST_SLICES {
            append_all(file, &mut slices)?;
            count = 0;
        }
        slices[count] = IoSlice::new(part);
        count += 1;
    }
    append_all(file, &mut slices[..count])
}
