//! Writing allocates nothing: not per span, and not per request.

mod support;

use std::sync::Arc;

use spanwright_core::SystemClock;
use spanwright_spool::{DiskFs, Log, Now, SpoolConfig};
use spanwright_testing::{CountingAllocator, ScratchDir, allocations};
use support::{batch, id_of};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn a_write_allocates_nothing_in_steady_state() {
    let scratch = ScratchDir::new().unwrap();
    let now = || Now::of(&SystemClock);
    let mut log = Log::open(SpoolConfig::new(scratch.path()), Arc::new(DiskFs), now()).unwrap();
    let batches: Vec<_> = (0..1000).map(batch).collect();
    log.write(now(), batches[0].clone()).unwrap();
    let asked = allocations(|| {
        for batch in &batches {
            log.write(now(), batch.clone()).unwrap();
        }
    });
    assert_eq!(asked.count, 0, "{asked:?}");
    let first = log.claim(now()).expect("the first");
    assert_eq!(id_of(&first.batch), 0);
}
