//! A hash of results: equal digests mean equal results, to all practical purposes. Not cryptographic.

use super::stream::mix;

/// Hash of a sequence of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x5eed_0f5e_ed0f_5eed)
    }
}

impl Digest {
    /// Adds a value; the order counts.
    pub fn add(&mut self, value: u64) {
        self.0 = mix(self.0.rotate_left(17) ^ value);
    }

    /// Adds several values in order.
    pub fn add_all(&mut self, values: impl IntoIterator<Item = u64>) {
        for value in values {
            self.add(value);
        }
    }

    /// The hash.
    pub fn value(self) -> u64 {
        self.0
    }
}
