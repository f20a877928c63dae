//! Trace ids and what is known of them at a glance.

use opentelemetry::TraceId;

/// Hashes trace ids with a seed, because a trace id may come from anybody: nobody outside can make two of them collide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    seeds: [u64; 2],
}

/// A trace id and its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct TraceKey {
    pub(super) id: u128,
    pub(super) hash: u64,
}

impl Hasher {
    pub(super) fn new(seeds: [u64; 2]) -> Self {
        Self { seeds }
    }

    pub(super) fn key(self, id: u128) -> TraceKey {
        let low = mix(id as u64 ^ self.seeds[0]);
        TraceKey {
            id,
            hash: mix(low ^ (id >> 64) as u64 ^ self.seeds[1]),
        }
    }

    pub(super) fn of(self, trace_id: TraceId) -> TraceKey {
        self.key(u128::from_be_bytes(trace_id.to_bytes()))
    }
}

impl TraceKey {
    pub(super) fn trace_id(self) -> TraceId {
        TraceId::from_bytes(self.id.to_be_bytes())
    }

    /// Which of the shards has it, by the bits that nothing in the shard looks at first.
    pub(super) fn shard(self, shards: usize) -> usize {
        (self.hash >> 56) as usize % shards
    }

    /// 32 bits that stand for the trace where its id would be too long, never 0.
    pub(super) fn fingerprint(self) -> u32 {
        ((mix(self.hash ^ ODD) >> 32) as u32).max(1)
    }
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64 (Vigna, public domain).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
