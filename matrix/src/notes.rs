use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::calls::Asked;

/// What the processes of a run have in common: what was sent, asked and fired, as those who did it know it.
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
    /// When the run began.
    pub(crate) fn begun(&self, at: Instant) {
        self.begun.get_or_init(|| at);
    }

    /// A number that nobody else has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Timers send nothing any more: otherwise there may be no moment at which all is processed.
    pub(crate) fn no_more(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A change that the broker has: the table's name and the change.
    pub(crate) fn has_sent(&self, table: &str, id: &str) {
        held(&self.acknowledged).insert(format!("{table} {id}"));
    }

    /// What timers have sent, each with the table's name before it.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        held(&self.acknowledged).clone()
    }

    /// A request, as much of it as is known now.
    pub(crate) fn has_asked(&self, id: &str, asked: Asked) {
        held(&self.asked).insert(id.to_owned(), asked);
    }

    pub(crate) fn asked(&self) -> BTreeMap<String, Asked> {
        held(&self.asked).clone()
    }

    /// The crontab fired.
    pub(crate) fn chimed(&self) {
        let begun = *self.begun.get_or_init(Instant::now);
        held(&self.chimes).push(begun.elapsed());
    }

    /// When the crontab fired.
    pub(crate) fn chimes(&self) -> Vec<Duration> {
        held(&self.chimes).clone()
    }
}
