//! A readable wire format for this crate's own tests.

use spanwright_core::{Encode, EncodedBatch, ScopeId};

/// Records are `[len, scope, value × len]`; headers are readable, so that a request can be read back.
pub(crate) struct Plain;

pub(crate) type Item = (u8, u8, u8); // scope, value, length

impl Encode<Item> for Plain {
    type Scratch = ();

    fn encode(&self, &(scope, value, len): &Item, (): &mut (), out: &mut Vec<u8>) -> ScopeId {
        assert_ne!(value, 255, "a value that cannot be encoded");
        out.push(len);
        out.push(scope);
        out.extend(std::iter::repeat_n(value, len.into()));
        ScopeId::new(scope.into())
    }

    fn record_len(&self, run: &[u8]) -> usize {
        run.first().map_or(0, |len| usize::from(*len) + 2)
    }

    fn open_scope(&self, scope: ScopeId, records_len: usize, out: &mut Vec<u8>) {
        out.push(scope.index() as u8);
        out.extend_from_slice(&(records_len as u32).to_le_bytes());
    }

    fn open_request(&self, scopes_len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(scopes_len as u32).to_le_bytes());
    }
}

/// Reads a request back: the items by scope, in order.
pub(crate) fn read(batch: &EncodedBatch) -> Vec<Item> {
    let bytes = batch.to_bytes();
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(u32_at(0), bytes.len() - 4, "the request's length");
    let (mut at, mut items) = (4, Vec::new());
    while at < bytes.len() {
        let scope = bytes[at];
        let end = at + 5 + u32_at(at + 1);
        at += 5;
        while at < end {
            let len = bytes[at];
            assert_eq!(bytes[at + 1], scope, "a record under a foreign scope");
            items.push((scope, if len > 0 { bytes[at + 2] } else { 0 }, len));
            at += usize::from(len) + 2;
        }
        assert_eq!(at, end, "the scope's length");
    }
    items
}
