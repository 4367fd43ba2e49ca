//! The report of a run: its log and its counters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The counters of a run, and its log on standard error.
#[derive(Debug)]
pub struct Report {
    begun: Instant,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Default for Report {
    fn default() -> Self {
        Self { begun: Instant::now(), counts: Mutex::default() }
    }
}

impl Report {
    /// Writes a line to standard error, with the time since the start.
    pub fn tell(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Counts one more occurrence of `what`.
    pub fn count(&self, what: &'static str) {
        *self.counts().entry(what).or_default() += 1;
    }

    /// Returns all counters as a text: "brokers killed 2, zombies 3".
    pub fn text(&self) -> String {
        let counts: Vec<String> = self.counts().iter().map(|(what, times)| format!("{what} {times}")).collect();
        if counts.is_empty() { "none".into() } else { counts.join(", ") }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
