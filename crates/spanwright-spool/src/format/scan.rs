//! Walking through the records of a segment, and past what is damaged in it.
//!
//! A record whose checksum does not hold is not read. How long it was, and how many items are gone with it, its header says, if the
//! header itself is whole. Where one flipped bit in the header explains the checksum, the header is read without the flip: not to
//! deliver the record, only to count and to step over it. A length is believed when it leads to the end of the file or to
//! something that is a record; otherwise the next record is searched for, byte by byte.

use std::io;

use crc32c::{crc32c, crc32c_combine};

use super::record::{HEADER_LEN, Header, Kind, head_crc, record_crc};
use crate::fs::FsFile;

/// How much is read at once. A request of 512 spans has some 190 KiB.
const CHUNK: usize = 256 << 10;
/// How many damaged records in a row are stepped over by their lengths before these are no longer believed.
const LONGEST_CHAIN: usize = 8;
/// How many bytes of one segment are checksummed in search of an explanation. Bounds the time that a hostile file costs.
const SEARCH_BUDGET: u64 = 64 << 20;

/// Walks through a file from record to record.
pub(crate) struct Scanner<'a> {
    file: &'a dyn FsFile,
    len: u64,
    at: u64,
    is_verifying: bool,
    buffer: Vec<u8>,
    buffer_at: u64,
    budget: u64,
}

/// What is at a place in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// A record, as it was written (or, without verifying, one that looks so).
    Record { header: Header, at: u64, end: u64 },
    /// Something that cannot be read.
    Damage(Damage),
    /// Nothing more.
    End,
}

/// A stretch of a segment that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) end: u64,
    /// Records that were in it, as far as they can be told apart.
    pub(crate) records: u64,
    /// Items that were in it, by the headers.
    pub(crate) items: u64,
    /// Whether it goes to the end of the file and has no whole record in it: a write that was cut short looks so.
    pub(crate) is_torn: bool,
}

/// What a place looks like, by itself.
enum Look {
    Whole(Header),
    /// The header is believed, the record is not.
    Broken(Header),
    /// It would be longer than the file.
    Cut(Header),
    Unknown,
}

impl<'a> Scanner<'a> {
    /// Over the records between `at` and `len`. With `is_verifying` every checksum is computed; else headers are believed.
    pub(crate) fn new(file: &'a dyn FsFile, at: u64, len: u64, is_verifying: bool) -> Self {
        Self {
            file,
            len,
            at,
            is_verifying,
            buffer: Vec::new(),
            buffer_at: 0,
            budget: SEARCH_BUDGET,
        }
    }

    /// Reuses the memory of an earlier scan.
    pub(crate) fn with_buffer(mut self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        self.buffer = buffer;
        self
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Goes on from `at`.
    pub(crate) fn jump(&mut self, at: u64) {
        self.at = at;
    }

    /// What comes next; the scan then stands behind it.
    pub(crate) fn step(&mut self) -> io::Result<Found> {
        if self.at >= self.len {
            return Ok(Found::End);
        }
        let at = self.at;
        let found = match self.look(at)? {
            Look::Whole(header) => Found::Record {
                header,
                at,
                end: at + header.record_len(),
            },
            Look::Broken(header) => {
                let end = at + header.record_len();
                if self.leads_on(end)? {
                    Found::Damage(Damage {
                        at,
                        end,
                        records: 1,
                        items: header.believable_items(),
                        is_torn: false,
                    })
                } else {
                    Found::Damage(self.search(at, Some(header))?)
                }
            }
            Look::Cut(header) => Found::Damage(self.search(at, Some(header))?),
            Look::Unknown => Found::Damage(self.search(at, None)?),
        };
        self.at = match found {
            Found::Record { end, .. } => end,
            Found::Damage(damage) => damage.end,
            Found::End => self.len,
        };
        Ok(found)
    }

    /// The payload of a record that was found.
    pub(crate) fn payload(&mut self, at: u64, end: u64) -> io::Result<&[u8]> {
        let record = self.bytes(at, end - at)?;
        Ok(record.get(HEADER_LEN as usize..).unwrap_or_default())
    }

    fn look(&mut self, at: u64) -> io::Result<Look> {
        let rest = self.len - at;
        if rest < HEADER_LEN {
            return Ok(Look::Unknown);
        }
        let head: [u8; HEADER_LEN as usize] = match self.bytes(at, HEADER_LEN)?.try_into() {
            Ok(head) => head,
            Err(_) => return Ok(Look::Unknown),
        };
        let Some(header) = Header::parse(&head) else {
            return Ok(self.repair(at, head)?.map_or(Look::Unknown, Look::Broken));
        };
        if header.record_len() > rest {
            return Ok(self.repair(at, head)?.map_or(Look::Cut(header), Look::Broken));
        }
        if !self.is_verifying || record_crc(self.bytes(at, header.record_len())?) == header.crc {
            return Ok(Look::Whole(header));
        }
        Ok(Look::Broken(self.repair(at, head)?.unwrap_or(header)))
    }

    /// The header without the one flipped bit in it that explains why the checksum does not hold, if there is one.
    fn repair(&mut self, at: u64, head: [u8; HEADER_LEN as usize]) -> io::Result<Option<Header>> {
        let rest = self.len - at;
        let mut known: Option<(u32, u32)> = None; // the length and checksum of the payload that was looked at last
        for bit in 0..HEADER_LEN as usize * 8 {
            let mut head = head;
            head[bit / 8] ^= 1 << (bit % 8);
            let Some(header) = Header::parse(&head).filter(|header| header.record_len() <= rest) else {
                continue;
            };
            let payload_crc = match known {
                Some((len, crc)) if len == header.len => crc,
                _ => {
                    if !self.spend(header.len.into()) {
                        return Ok(None);
                    }
                    let record = self.bytes(at, header.record_len())?;
                    let crc = crc32c(&record[HEADER_LEN as usize..]);
                    known = Some((header.len, crc));
                    crc
                }
            };
            if crc32c_combine(head_crc(&head), payload_crc, header.len as usize) == header.crc {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Whether `at` is the end of the file or something that is, or leads to, a record.
    fn leads_on(&mut self, mut at: u64) -> io::Result<bool> {
        for _ in 0..LONGEST_CHAIN {
            if at >= self.len {
                return Ok(at == self.len);
            }
            match self.look(at)? {
                Look::Whole(_) => return Ok(true),
                Look::Broken(header) => at += header.record_len(),
                Look::Cut(_) | Look::Unknown => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Searches behind `at` for the next record, whatever the damaged header says.
    fn search(&mut self, at: u64, header: Option<Header>) -> io::Result<Damage> {
        let items = header.map_or(0, |header| header.believable_items());
        let mut here = at + 1;
        while self.len.saturating_sub(here) >= HEADER_LEN {
            // The window moves a byte at a time; it is filled a chunk at a time.
            let window = self.window(here)?;
            let tries = window.len() + 1 - HEADER_LEN as usize;
            let hit = (0..tries).find(|at| Kind::from_byte(window[at + 8]).is_some());
            let Some(hit) = hit else {
                here += tries as u64;
                continue;
            };
            here += hit as u64;
            let rest = self.len - here;
            let header = Header::parse(self.bytes(here, HEADER_LEN)?).filter(|header| header.record_len() <= rest);
            if let Some(header) = header {
                if !self.spend(header.record_len()) {
                    break;
                }
                if record_crc(self.bytes(here, header.record_len())?) == header.crc {
                    return Ok(Damage {
                        at,
                        end: here,
                        records: 1,
                        items,
                        is_torn: false,
                    });
                }
            }
            here += 1;
        }
        let is_empty = header.is_none() && self.is_zero(at)?;
        Ok(Damage {
            at,
            end: self.len,
            records: u64::from(!is_empty),
            items,
            is_torn: true,
        })
    }

    /// Whether there are zeros only from `at` on: what a file system leaves of a write that it did not finish.
    fn is_zero(&mut self, mut at: u64) -> io::Result<bool> {
        while at < self.len {
            let window = self.window(at)?;
            if window.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += window.len() as u64;
        }
        Ok(true)
    }

    fn spend(&mut self, bytes: u64) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }

    /// Whatever is buffered from `at` on; at least a header, or the rest of the file.
    fn window(&mut self, at: u64) -> io::Result<&[u8]> {
        let least = HEADER_LEN.min(self.len - at);
        self.bytes(at, least)?;
        Ok(&self.buffer[(at - self.buffer_at) as usize..])
    }

    /// Exactly `count` bytes from `at` on, which must lie in the file.
    fn bytes(&mut self, at: u64, count: u64) -> io::Result<&[u8]> {
        let buffered = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if at < buffered.start || at + count > buffered.end {
            let wanted = (count as usize).max(CHUNK).min((self.len - at) as usize);
            // What is buffered already is moved, not read again.
            let kept = if buffered.contains(&at) {
                let from = (at - buffered.start) as usize;
                self.buffer.copy_within(from.., 0);
                self.buffer.len() - from
            } else {
                0
            };
            self.buffer_at = at;
            self.buffer.resize(wanted, 0);
            if let Err(error) = read_exact_at(self.file, &mut self.buffer[kept..], at + kept as u64) {
                self.buffer.clear();
                return Err(error);
            }
        }
        let from = (at - self.buffer_at) as usize;
        Ok(&self.buffer[from..from + count as usize])
    }
}

/// Fills the buffer from `at` on.
pub(crate) fn read_exact_at(file: &dyn FsFile, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = buffer.split_at_mut(count).1;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
