//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    /// Constant and without a destructor, so that counting neither allocates nor depends on the order in which a thread ends.
    static COUNTS: Cell<Allocations> = const { Cell::new(Allocations { count: 0, bytes: 0, freed: 0 }) };
}

/// The system's allocator, counting what each thread asks of it.
///
/// ```
/// use spanwright_testing::{CountingAllocator, allocations};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator::new();
///
/// assert_eq!(allocations(|| 1 + 1).count, 0);
/// assert_eq!(allocations(|| vec![0_u8; 100]).bytes, 100);
/// ```
#[derive(Debug, Default)]
pub struct CountingAllocator;

impl CountingAllocator {
    /// To be installed with `#[global_allocator]`.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// What a thread asked of the allocator.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Allocations {
    /// How often it asked for memory; to enlarge or shrink a block counts as well.
    pub count: u64,
    /// How many bytes it asked for; of a block that was enlarged, the whole new size.
    pub bytes: u64,
    /// How many blocks it gave back. A block may come from another thread.
    pub freed: u64,
}

/// What `work` asks of the allocator on this thread.
///
/// The result of `work` is dropped after the count was taken.
///
/// # Panics
///
/// [`CountingAllocator`] is not the global allocator: a test that counts nothing would pass whatever it tests.
pub fn allocations<R>(work: impl FnOnce() -> R) -> Allocations {
    let before = COUNTS.get();
    drop(black_box(Box::new(0_u8)));
    let start = COUNTS.get();
    assert!(
        start.count > before.count,
        "install `CountingAllocator` with `#[global_allocator]`"
    );
    let result = work();
    let end = COUNTS.get();
    drop(black_box(result));
    Allocations {
        count: end.count - start.count,
        bytes: end.bytes - start.bytes,
        freed: end.freed - start.freed,
    }
}

fn asked_for(bytes: usize) {
    change(|counts| Allocations {
        count: counts.count + 1,
        bytes: counts.bytes + bytes as u64,
        ..counts
    });
}

fn gave_back() {
    change(|counts| Allocations {
        freed: counts.freed + 1,
        ..counts
    });
}

fn change(change: impl FnOnce(Allocations) -> Allocations) {
    // A thread whose storage is already gone is not counted; nobody can ask it any more.
    let _ = COUNTS.try_with(|counts| counts.set(change(counts.get())));
}

// SAFETY: Every method hands its arguments unchanged to `System`, which is an allocator, and returns what that returns. What is
// done beside it touches one constant-initialised cell of the thread: it neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked_for(layout.size());
        // SAFETY: The caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        gave_back();
        // SAFETY: The caller keeps the contract of `dealloc`, and every block of ours comes from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked_for(layout.size());
        // SAFETY: The caller keeps the contract of `alloc_zeroed`, which is that of `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        asked_for(new_size);
        // SAFETY: The caller keeps the contract of `realloc`, and every block of ours comes from `System`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
