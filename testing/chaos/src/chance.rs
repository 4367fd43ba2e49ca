//! Random decisions that follow from a seed.

use std::ops::Range;
use std::time::Duration;

use marlowe_broker::{Entropy, SeededEntropy};

/// A source of random decisions that follow from a seed.
#[derive(Debug)]
pub struct Chance(SeededEntropy);

impl Chance {
    /// Creates the source of `seed` for purpose number `stream`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(SeededEntropy::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream)))
    }

    /// Returns a number within `range`.
    pub fn number(&self, range: Range<u64>) -> u64 {
        range.start + self.0.next() % (range.end - range.start)
    }

    /// Returns a time whose milliseconds are within `range`.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// Returns `true` in `times` of a hundred cases.
    pub fn percent(&self, times: u64) -> bool {
        self.number(0..100) < times
    }
}
