//! What happens by chance, from a seed.

use std::ops::Range;
use std::time::Duration;

use marlowe_broker::{Entropy, SeededEntropy};

/// Chance that is the same for the same seed.
#[derive(Debug)]
pub struct Chance(SeededEntropy);

impl Chance {
    /// Chance of `seed`, for the purpose number `stream`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(SeededEntropy::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream)))
    }

    /// A number of the range.
    pub fn number(&self, range: Range<u64>) -> u64 {
        range.start + self.0.next() % (range.end - range.start)
    }

    /// A time of so many milliseconds.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.number(range))
    }

    /// Whether something happens that does so many times of a hundred.
    pub fn percent(&self, times: u64) -> bool {
        self.number(0..100) < times
    }
}
