use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::restore::RestoreProgress;
use crate::worker::Progress;

/// How often a restore is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A bar on standard error, if that is a terminal, that is gone when it is dropped.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar called `name` that counts `what`.
    pub(crate) fn new(bars: &MultiProgress, name: &'static str, what: &str) -> Self {
        let bar = bars.add(ProgressBar::no_length());
        let template = format!("{{msg:<10}} [{{bar:40}}] {{human_pos}} of {{human_len}} {what}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name);
        Self { bar }
    }

    /// How far it is.
    pub(crate) fn show(&self, progress: Progress) {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
    }

    /// Shows how far workers are with restoring. It does not end.
    pub(crate) async fn watch_restore(&self, workers: &[Arc<RestoreProgress>]) {
        loop {
            let sum = |count: fn(&RestoreProgress) -> &std::sync::atomic::AtomicU64| -> u64 {
                workers.iter().map(|worker| count(worker).load(Ordering::Relaxed)).sum()
            };
            let done = sum(|worker| &worker.restored);
            let progress = Progress { done, total: done + sum(|worker| &worker.remaining) };
            if progress.total > 0 {
                self.show(progress);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
