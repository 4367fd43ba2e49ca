//! [`Chance`]: random numbers that follow from the seed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Entropy, SeededEntropy};

/// A source of random numbers that follow from the seed.
#[derive(Clone)]
pub struct Chance(Arc<SeededEntropy>);

impl Chance {
    /// Creates a stream of random numbers. Streams with different numbers are independent of each
    /// other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mixed = SeededEntropy::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.rotate_left(32));
        Self(Arc::new(SeededEntropy::new(mixed.next())))
    }

    /// Creates chance for choices before a run, as the choice of a program.
    pub fn of_seed(seed: u64) -> Self {
        Self::new(seed, 0)
    }

    pub(crate) fn entropy(&self) -> Arc<dyn Entropy> {
        self.0.clone()
    }

    /// Returns a number in `range`, which must not be empty.
    pub fn number(&self, range: Range<u64>) -> u64 {
        range.start + self.0.next() % (range.end - range.start)
    }

    /// Returns true with a probability of `per_mille` thousandths.
    pub fn happens(&self, per_mille: u64) -> bool {
        self.number(0..1000) < per_mille
    }

    /// Returns a time in `range`, in whole microseconds.
    pub fn time(&self, range: Range<Duration>) -> Duration {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.number(micros(range.start)..micros(range.end).max(micros(range.start) + 1)))
    }

    /// Returns one of `all`, which must not be empty.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.number(0..all.len() as u64) as usize]
    }
}
