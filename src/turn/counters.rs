use std::cell::Cell;

/// What an agent did in one shard, counted without locks; the lane adds it to the metrics at each commit.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events taken in.
    pub(crate) events: Cell<u64>,
    /// Events handled with success.
    pub(crate) handled: Cell<u64>,
    /// Tries that failed.
    pub(crate) failed: Cell<u64>,
    /// Tries after the first.
    pub(crate) retried: Cell<u64>,
    /// Events handled again since a row they used was changed meanwhile.
    pub(crate) conflicts: Cell<u64>,
    /// Events sent to a dead-letter topic.
    pub(crate) dead_lettered: Cell<u64>,
    /// Events passed over.
    pub(crate) skipped: Cell<u64>,
}

/// Adds one.
#[inline]
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
