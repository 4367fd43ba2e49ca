//! The progress bars of a worker, for restoring and draining.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::restore::RestoreProgress;
use crate::worker::Progress;

/// The time between two updates of the bar of a restore.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A progress bar on standard error, if that is a terminal. Dropping the bar removes it.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Creates a bar called `name` that counts `what`.
    pub(crate) fn new(bars: &MultiProgress, name: &'static str, what: &str) -> Self {
        let bar = bars.add(ProgressBar::no_length());
        let template = format!("{{msg:<10}} [{{bar:40}}] {{human_pos}} of {{human_len}} {what}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(name);
        Self { bar }
    }

    /// Shows the progress.
    pub(crate) fn show(&self, progress: Progress) {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
    }

    /// Shows the progress of the workers' restores. It never returns.
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
