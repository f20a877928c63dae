//! One request in a segment.

use crc32c::{crc32c, crc32c_append};
use spanwright_core::Priority;

use super::u32_at;
use super::u64_at;

/// The bytes before a payload.
pub(crate) const HEADER_LEN: u64 = 21;
/// The largest payload: OTLP's limit of a request.
pub(crate) const MAX_PAYLOAD: u64 = 64 << 20;
/// The most items that a header is believed. A request of 64 MiB has not a quarter of it.
pub(crate) const MAX_ITEMS: u64 = 1 << 24;

const REQUEST: u8 = 1;
const HIGH: u8 = 16;
const ZSTD: u8 = 32;

/// What a payload is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kind {
    pub(crate) priority: Priority,
    pub(crate) is_zstd: bool,
}

/// What is known of a record without its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) len: u32,
    pub(crate) crc: u32,
    pub(crate) kind: Kind,
    pub(crate) items: u32,
    pub(crate) time: u64,
}

impl Kind {
    pub(crate) fn to_byte(self) -> u8 {
        let high = if self.priority == Priority::High { HIGH } else { 0 };
        let zstd = if self.is_zstd { ZSTD } else { 0 };
        REQUEST | high | zstd
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte & !(HIGH | ZSTD) == REQUEST).then_some(Self {
            priority: if byte & HIGH == 0 {
                Priority::Normal
            } else {
                Priority::High
            },
            is_zstd: byte & ZSTD != 0,
        })
    }
}

impl Header {
    /// The header's bytes of a record whose payload is `parts`, one after the other.
    pub(crate) fn bytes<'a>(
        kind: Kind,
        items: u32,
        time: u64,
        len: u32,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[8] = kind.to_byte();
        bytes[9..13].copy_from_slice(&items.to_le_bytes());
        bytes[13..].copy_from_slice(&time.to_le_bytes());
        let crc = parts.fold(head_crc(&bytes), crc32c_append);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header, if what it says can be true at all.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Self {
            len: u32_at(bytes, 0),
            crc: u32_at(bytes, 4),
            kind: Kind::from_byte(*bytes.get(8)?)?,
            items: u32_at(bytes, 9),
            time: u64_at(bytes, 13),
        };
        let is_plausible = u64::from(header.len) <= MAX_PAYLOAD && u64::from(header.items) <= MAX_ITEMS;
        is_plausible.then_some(header)
    }

    /// How many items are gone with the record, where no checksum vouches for the header: an item takes a byte at least.
    pub(crate) fn believable_items(&self) -> u64 {
        let most = if self.kind.is_zstd { u32::MAX } else { self.len };
        self.items.min(most).into()
    }

    /// The record's whole length.
    pub(crate) fn record_len(&self) -> u64 {
        HEADER_LEN + u64::from(self.len)
    }
}

/// The checksum of a whole record's bytes, whatever checksum stands in them.
pub(crate) fn record_crc(record: &[u8]) -> u32 {
    let (head, payload) = record.split_at(HEADER_LEN as usize);
    crc32c_append(head_crc(head), payload)
}

/// The checksum of a header without the checksum in it.
pub(crate) fn head_crc(head: &[u8]) -> u32 {
    crc32c_append(crc32c(&head[..4]), &head[8..HEADER_LEN as usize])
}
