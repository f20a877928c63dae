//! What the tests on the machine's own disk share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "part of tests, each of which uses its share; the lints see neither"
)]

use bytes::Bytes;
use spanwright_core::{EncodedBatch, Priority};

/// A batch whose payload tells which one it is, and whether it is whole.
pub(crate) fn batch(id: u64) -> EncodedBatch {
    let head = Bytes::from(id.to_le_bytes().to_vec());
    let body = Bytes::from(vec![id as u8; 500 + (id % 31) as usize * 40]);
    EncodedBatch::new([head, body], 1 + (id % 9) as usize, Priority::Normal)
}

pub(crate) fn id_of(found: &EncodedBatch) -> u64 {
    let bytes = found.to_bytes();
    let id = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, batch(id).to_bytes(), "a wrong payload");
    assert_eq!(found.item_count(), batch(id).item_count());
    id
}
