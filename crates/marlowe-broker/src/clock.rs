//! The sources of time and randomness: the system's own, and a seeded one for tests and the
//! simulation.

use crate::Timestamp;

/// A source of the time of day.
///
/// Marlowe never asks the system for the time. It asks its clock, and it waits with tokio's clock,
/// which a test can pause. So a test can run a whole cluster in one process, pass hours in
/// milliseconds, and get the same result each time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the only place that asks the system for the time
    fn now(&self) -> Timestamp {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Timestamp::from_millis(since.as_millis() as i64),
            Err(before) => Timestamp::from_millis(-(before.duration().as_millis() as i64)),
        }
    }
}

/// A source of random numbers, used for the names of members and the jitter of retries.
pub trait Entropy: Send + Sync + 'static {
    /// Returns the next random number.
    fn next(&self) -> u64;
}

/// The system's source of random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Each `RandomState` gets new keys from the system's source.
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
}

/// Random numbers that follow from a seed (SplitMix64): the same seed gives the same run.
#[derive(Debug)]
pub struct SeededEntropy(std::sync::atomic::AtomicU64);

impl SeededEntropy {
    /// Returns a source that begins with `seed`.
    pub fn new(seed: u64) -> Self {
        Self(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, std::sync::atomic::Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
