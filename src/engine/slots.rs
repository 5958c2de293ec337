//! The completions of busy worker slots: a winner tree with one leaf a slot.
//!
//! ```text
//!               [ min min min min ]              key = completion time << slot bits | slot
//!               /    |     |     \             an idle slot's key is the largest u64
//!     [ 0 1 2 3 ] [ 4 5 6 7 ] ...                starting or ending a job rewrites one leaf and
//!                                                the minima on its path to the root
//! ```
//!
//! Of the structures measured (heaps of arity 2 and 4, sorted vector, radix heap, bucket wheel, flat scan)
//! a winner tree is the fastest from 60 slots to 2,500: its depth is fixed, no branch depends on a key, and
//! any slot can be cleared at the cost of one update. Four children a node halve the depth of the binary
//! tree; the three siblings are compared while the new minimum travels upwards in a register.

use super::time::SimTime;

/// Completion times of a fixed number of slots.
#[derive(Debug)]
pub struct Slots {
    /// Level by level, the root first; the children of lane `l` of group `g` are group `4 g + l + 1`.
    groups: Vec<[u64; LANES]>,
    /// The first group of the lowest level, whose lanes are the slots.
    first_leaf_group: usize,
    /// The smallest key.
    next: u64,
    slot_bits: u32,
    idle: Vec<u32>,
}

const LANES: usize = 4;
const IDLE: u64 = u64::MAX;

impl Slots {
    /// All of `count` slots idle.
    pub fn new(count: u32) -> Self {
        assert!(count > 0, "a station without slots serves nobody");
        let (mut first_leaf_group, mut leaf_groups) = (0, 1);
        while leaf_groups * LANES < count as usize {
            first_leaf_group += leaf_groups;
            leaf_groups *= LANES;
        }
        Self {
            groups: vec![[IDLE; LANES]; first_leaf_group + leaf_groups],
            first_leaf_group,
            next: IDLE,
            slot_bits: Self::slot_bits(count),
            idle: (0..count).rev().collect(),
        }
    }

    /// The latest time that fits beside the number of a slot.
    pub fn latest(count: u32) -> SimTime {
        SimTime((IDLE >> Self::slot_bits(count)) - 1)
    }

    /// When the next busy slot completes; later than `Slots::latest` if all are idle.
    #[inline]
    pub fn next_time(&self) -> SimTime {
        SimTime(self.next >> self.slot_bits)
    }

    /// The slot that completes next; of several at one time, the one with the lowest number.
    #[inline]
    pub fn next_slot(&self) -> usize {
        (self.next & ((1 << self.slot_bits) - 1)) as usize
    }

    /// Takes an idle slot, if there is one. It must then be `occupy`-ed.
    #[inline]
    pub fn take_idle(&mut self) -> Option<usize> {
        self.idle.pop().map(|slot| slot as usize)
    }

    /// The slot is busy until `completion`, whether it was taken from the idle ones or has just completed.
    #[inline]
    pub fn occupy(&mut self, slot: usize, completion: SimTime) {
        self.set(slot, completion.0 << self.slot_bits | slot as u64);
    }

    /// The slot that was busy becomes idle.
    #[inline]
    pub fn release(&mut self, slot: usize) {
        self.set(slot, IDLE);
        self.idle.push(slot as u32);
    }

    /// Whether the slot is busy.
    pub fn is_busy(&self, slot: usize) -> bool {
        self.groups[self.first_leaf_group + slot / LANES][slot % LANES] != IDLE
    }

    /// Number of idle slots.
    #[inline]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    #[inline]
    fn set(&mut self, slot: usize, key: u64) {
        let mut group = self.first_leaf_group + slot / LANES;
        let mut lane = slot % LANES;
        let mut least = key;
        loop {
            let keys = &mut self.groups[group];
            keys[lane] = least;
            let siblings = keys[lane ^ 1].min(keys[lane ^ 2]).min(keys[lane ^ 3]);
            least = least.min(siblings);
            if group == 0 {
                break;
            }
            lane = (group - 1) % LANES;
            group = (group - 1) / LANES;
        }
        self.next = least;
    }

    fn slot_bits(count: u32) -> u32 {
        count.next_power_of_two().trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_leave_in_order_of_time_then_slot() {
        for count in [1, 2, 3, 60, 100] {
            let mut slots = Slots::new(count);
            let mut expected = Vec::new();
            for i in 0..u64::from(count) {
                let slot = slots.take_idle().expect("none is busy yet");
                let completion = SimTime(1 + (i * 7919) % 13);
                slots.occupy(slot, completion);
                expected.push((completion, slot));
            }
            assert_eq!(slots.take_idle(), None);
            expected.sort();
            for (completion, slot) in expected {
                assert_eq!((slots.next_time(), slots.next_slot()), (completion, slot));
                assert!(slots.is_busy(slot));
                slots.release(slot);
            }
            assert_eq!(slots.idle(), count as usize);
            assert!(slots.next_time() > Slots::latest(count));
        }
    }
}
