//! The counting allocator, installed.

use spanwright_testing::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

#[test]
fn counts_what_this_thread_asks_for() {
    let counted = allocations(|| {
        let mut block = Vec::<u8>::with_capacity(10);
        block.reserve_exact(20);
        drop(block);
        vec![0_u64; 4]
    });
    assert_eq!((counted.count, counted.bytes, counted.freed), (3, 10 + 20 + 32, 1));
}

#[test]
fn does_not_count_what_another_thread_asks_for() {
    let (to_other, work) = std::sync::mpsc::sync_channel::<()>(1);
    let (done, finished) = std::sync::mpsc::sync_channel::<()>(1);
    let other = std::thread::spawn(move || {
        work.recv().unwrap();
        drop(std::hint::black_box(vec![1_u8; 4096]));
        done.send(()).unwrap();
    });
    let counted = allocations(|| {
        to_other.send(()).unwrap();
        finished.recv().unwrap();
    });
    // Channels may allocate for a thread that waits; the other thread's block is not among it.
    assert!(counted.bytes < 4096, "{counted:?}");
    other.join().unwrap();
}
