//! The memory guard: where it sheds, whom, and when it stops.

use backpressure::{MemoryGuard, Priority};

fn sheds(guard: &mut MemoryGuard, used: u64, limit: u64) -> bool {
    guard.observe(used, limit);
    guard.is_shedding()
}

#[test]
fn it_sheds_from_the_watermark_and_until_five_points_below() {
    let mut guard = MemoryGuard::new(750_000);
    // Exactly at the levels, which are whole bytes of this limit.
    for (used, expected) in [
        (0, false),
        (749, false),
        (750, true),
        (749, true),
        (700, true),
        (699, false),
        (749, false),
        (1_000, true),
        (2_000, true),
    ] {
        assert_eq!(sheds(&mut guard, used, 1_000), expected, "at {used}");
    }
}

#[test]
fn only_the_most_urgent_come_in() {
    let mut guard = MemoryGuard::new(500_000);
    guard.observe(600, 1_000);
    let admitted: Vec<u8> =
        (1..=10).filter(|&number| guard.admits(Priority::new(number).expect("a priority"))).collect();
    assert_eq!(admitted, [1]);
    guard.observe(0, 1_000);
    assert!((1..=10).all(|number| guard.admits(Priority::new(number).expect("a priority"))));
}

#[test]
fn the_extremes_of_watermark_and_limit() {
    assert!(sheds(&mut MemoryGuard::new(0), 0, 1), "at zero always");
    let mut full = MemoryGuard::new(1_000_000);
    assert!(!sheds(&mut full, u64::MAX - 1, u64::MAX));
    assert!(sheds(&mut full, u64::MAX, u64::MAX), "nothing overflows");
    let mut guard = MemoryGuard::new(750_000);
    assert!(sheds(&mut guard, 900, 1_000));
    assert!(!sheds(&mut guard, 900, 0), "a limit of zero is none");
    // A watermark closer to zero than the gap is released at zero only.
    let mut low = MemoryGuard::new(30_000);
    assert!(sheds(&mut low, 30, 1_000) && sheds(&mut low, 1, 1_000) && sheds(&mut low, 0, 1_000));
}
