//! Named streams of random numbers: one for each component and purpose.
//!
//! A stream depends on the master seed, the replication and its own name, on nothing else: a new component
//! does not change the numbers of the old ones, and two scenarios with the same seed see the same arrivals
//! and demands (common random numbers).

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// A stream of random numbers.
pub type Stream = Xoshiro256PlusPlus;

/// The stream of that name in one replication.
pub fn stream(seed: u64, replication: u32, name: &str) -> Stream {
    let mut key = mix(seed);
    key = mix(key ^ u64::from(replication));
    for byte in name.bytes() {
        key = mix(key ^ u64::from(byte));
    }
    Stream::seed_from_u64(key)
}

/// A bijection that spreads every input bit over the output: the finaliser of SplitMix64 (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) after its increment.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_are_pinned() {
        let first = |seed, replication, name| stream(seed, replication, name).next_u64();
        assert_eq!(first(42, 0, "arrivals"), 13_845_076_263_467_377_373);
    }

    #[test]
    fn streams_differ_by_seed_replication_and_name() {
        let mut firsts: Vec<u64> =
            [(1, 0, "a"), (2, 0, "a"), (1, 1, "a"), (1, 0, "b"), (1, 0, "ab"), (1, 0, "")]
                .map(|(seed, replication, name)| stream(seed, replication, name).next_u64())
                .into();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 6);
    }
}
