//! Counters of one agent in one shard.

use std::cell::Cell;

/// Counts of an agent's work in one shard, without locks. The lane adds them to the metrics at each
/// commit.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events taken from the input.
    pub(crate) events: Cell<u64>,
    /// Events handled with success.
    pub(crate) handled: Cell<u64>,
    /// Attempts that failed.
    pub(crate) failed: Cell<u64>,
    /// Attempts after the first one.
    pub(crate) retried: Cell<u64>,
    /// Events that were handled again because a row that they used had changed.
    pub(crate) conflicts: Cell<u64>,
    /// Events sent to a dead-letter topic.
    pub(crate) dead_lettered: Cell<u64>,
    /// Events that were skipped.
    pub(crate) skipped: Cell<u64>,
}

/// Adds 1 to `counter`.
#[inline]
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
