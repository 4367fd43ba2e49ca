use crate::Timestamp;

/// Where the time of day comes from.
///
/// Nothing in Marlowe asks the system for the time: it asks its clock, and for waiting it uses tokio's, which a test can
/// pause. So a whole cluster can run in one process, hours in milliseconds, the same each time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place where time comes in
    fn now(&self) -> Timestamp {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Timestamp::from_millis(since.as_millis() as i64),
            Err(before) => Timestamp::from_millis(-(before.duration().as_millis() as i64)),
        }
    }
}

/// Where chance comes from: names of members, jitter of retries.
pub trait Entropy: Send + Sync + 'static {
    /// The next random number.
    fn next(&self) -> u64;
}

/// The system's chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Each `RandomState` is keyed anew from the system's source.
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
}

/// Numbers that follow from a seed (SplitMix64): the same seed gives the same run.
#[derive(Debug)]
pub struct SeededEntropy(std::sync::atomic::AtomicU64);

impl SeededEntropy {
    /// Chance that follows from `seed`.
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
