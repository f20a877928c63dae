//! The counting allocator, not installed.

#[test]
#[should_panic(expected = "install `CountingAllocator`")]
fn a_count_without_the_allocator_fails_in_place_of_passing() {
    spanwright_testing::allocations(|| vec![0_u8; 10]);
}
