//! The measurements that count allocations, in a program of their own: an allocator that counts is slower, and would be so
//! most of all where the most is allocated.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use spanwright_testing::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn main() -> ExitCode {
    spanwright_benches::count_allocations(std::env::args().skip(1))
}
