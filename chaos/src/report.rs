//! What happened in a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Counts what happens, and tells it as it does.
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
    /// Says a line, with the time since the start, on standard error.
    pub fn tell(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// That this happened once more.
    pub fn count(&self, what: &'static str) {
        *self.counts().entry(what).or_default() += 1;
    }

    /// What happened how often: "zombies 3, brokers killed 2".
    pub fn text(&self) -> String {
        let counts: Vec<String> = self.counts().iter().map(|(what, times)| format!("{what} {times}")).collect();
        if counts.is_empty() { "none".into() } else { counts.join(", ") }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
