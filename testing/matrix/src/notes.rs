//! The notes that all processes of a run share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::request::Asked;

/// The notes that all processes of a run share: what was sent, asked and fired, written by those
/// who did it.
#[derive(Default)]
pub(crate) struct Notes {
    acknowledged: Mutex<BTreeSet<String>>,
    asked: Mutex<BTreeMap<String, Asked>>,
    chimes: Mutex<Vec<Duration>>,
    begun: OnceLock<Instant>,
    next: AtomicU64,
    is_over: AtomicBool,
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Notes {
    /// Sets the time at which the run began.
    pub(crate) fn begun(&self, at: Instant) {
        self.begun.get_or_init(|| at);
    }

    /// Returns a number that nobody else gets.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Stops the sends of timers. Otherwise there might be no moment at which everything is
    /// processed.
    pub(crate) fn no_more(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Notes a change that the broker has, by its table and its id.
    pub(crate) fn has_sent(&self, table: &str, id: &str) {
        held(&self.acknowledged).insert(format!("{table} {id}"));
    }

    /// Returns the changes that timers have sent, each with the table's name before it.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        held(&self.acknowledged).clone()
    }

    /// Notes a request, as far as it is known now.
    pub(crate) fn has_asked(&self, id: &str, asked: Asked) {
        held(&self.asked).insert(id.to_owned(), asked);
    }

    pub(crate) fn asked(&self) -> BTreeMap<String, Asked> {
        held(&self.asked).clone()
    }

    /// Notes that the crontab fired now.
    pub(crate) fn chimed(&self) {
        let begun = *self.begun.get_or_init(Instant::now);
        held(&self.chimes).push(begun.elapsed());
    }

    /// Returns the times at which the crontab fired, since the start of the run.
    pub(crate) fn chimes(&self) -> Vec<Duration> {
        held(&self.chimes).clone()
    }
}
