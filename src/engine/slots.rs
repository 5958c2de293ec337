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

    /// The latest time that fits beside the number of a slot. A completion that is later still counts as this
    /// one, so a run must end before it.
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

    /// Makes an idle slot busy until `completion` and names it; `None` if there is none.
    #[inline]
    pub fn start(&mut self, completion: SimTime) -> Option<usize> {
        let slot = self.idle.pop()? as usize;
        self.enter(slot, completion);
        Some(slot)
    }

    /// Makes this slot busy until `completion`, whatever it was before. For callers who keep their own account of the idle
    /// slots, and then use neither `start` nor `release_next`.
    #[inline]
    pub fn occupy(&mut self, slot: usize, completion: SimTime) {
        self.set(slot, self.key(slot, completion));
    }

    /// Makes this slot idle. For the same callers.
    #[inline]
    pub fn vacate(&mut self, slot: usize) {
        self.set(slot, IDLE);
    }

    /// The first key of an idle slot.
    #[inline]
    fn enter(&mut self, slot: usize, completion: SimTime) {
        let key = self.key(slot, completion);
        self.next = self.next.min(key);
        let (mut group, mut lane) = self.leaf(slot);
        loop {
            let keys = &mut self.groups[group];
            let others = keys[lane ^ 1].min(keys[lane ^ 2]).min(keys[lane ^ 3]);
            keys[lane] = key;
            // A key that is not the least of its group changes nothing above it; most start late.
            if key > others || group == 0 {
                return;
            }
            (group, lane) = Self::parent(group);
        }
    }

    /// The slot that completes next is busy again, until `completion`.
    #[inline]
    pub fn restart_next(&mut self, completion: SimTime) {
        let slot = self.next_slot();
        self.set(slot, self.key(slot, completion));
    }

    /// The slot that completes next becomes idle.
    #[inline]
    pub fn release_next(&mut self) {
        let slot = self.next_slot();
        self.set(slot, IDLE);
        self.idle.push(slot as u32);
    }

    /// Whether the slot is busy.
    pub fn is_busy(&self, slot: usize) -> bool {
        let (group, lane) = self.leaf(slot);
        self.groups[group][lane] != IDLE
    }

    /// Number of idle slots.
    #[inline]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Changes a key, up or down, and all minima above it.
    #[inline]
    fn set(&mut self, slot: usize, key: u64) {
        let (mut group, mut lane) = self.leaf(slot);
        let mut least = key;
        loop {
            let keys = &mut self.groups[group];
            keys[lane] = least;
            least = least.min(keys[lane ^ 1].min(keys[lane ^ 2]).min(keys[lane ^ 3]));
            if group == 0 {
                break;
            }
            (group, lane) = Self::parent(group);
        }
        self.next = least;
    }

    #[inline]
    fn key(&self, slot: usize, completion: SimTime) -> u64 {
        let latest = (IDLE >> self.slot_bits) - 1;
        completion.0.min(latest) << self.slot_bits | slot as u64
    }

    #[inline]
    fn leaf(&self, slot: usize) -> (usize, usize) {
        (self.first_leaf_group + slot / LANES, slot % LANES)
    }

    #[inline]
    fn parent(group: usize) -> (usize, usize) {
        ((group - 1) / LANES, (group - 1) % LANES)
    }

    fn slot_bits(count: u32) -> u32 {
        count.next_power_of_two().trailing_zeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stream::mix;

    #[test]
    fn a_completion_beyond_all_times_keeps_its_slot_busy() {
        let mut slots = Slots::new(60);
        assert_eq!(slots.start(SimTime::NEVER), Some(0));
        assert_eq!(slots.start(SimTime(5)), Some(1));
        assert_eq!((slots.next_time(), slots.next_slot()), (SimTime(5), 1));
        slots.release_next();
        assert_eq!((slots.next_time(), slots.next_slot()), (Slots::latest(60), 0));
        assert!(slots.is_busy(0));
    }

    /// Follows a long mixture of starts, restarts and releases beside a plain sorted list.
    #[test]
    fn completions_leave_in_order_of_time_then_slot() {
        for count in [1, 2, 3, 4, 5, 16, 17, 60, 100] {
            let mut slots = Slots::new(count);
            let mut plain: Vec<(SimTime, usize)> = Vec::new();
            let mut now = 0;
            for step in 0..5_000u64 {
                let draw = mix(step + u64::from(count) * 10_000);
                let completion = SimTime(now + 1 + draw % 40);
                let starts = draw >> 32 & 1 == 0;
                if starts {
                    let slot = slots.start(completion);
                    assert_eq!(slot.is_none(), plain.len() == count as usize);
                    plain.extend(slot.map(|slot| (completion, slot)));
                } else if !plain.is_empty() {
                    let next = plain.remove(0);
                    now = next.0.0;
                    if draw >> 33 & 1 == 0 {
                        slots.release_next();
                        assert!(!slots.is_busy(next.1));
                    } else {
                        let completion = SimTime(now + 1 + draw % 40);
                        slots.restart_next(completion);
                        plain.push((completion, next.1));
                    }
                }
                plain.sort();
                assert_eq!(slots.idle(), count as usize - plain.len());
                match plain.first() {
                    Some(&next) => assert_eq!((slots.next_time(), slots.next_slot()), next),
                    None => assert!(slots.next_time() > Slots::latest(count)),
                }
            }
        }
    }
}
