use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Whether a restore is not wanted any more. It reads for nothing then, which harms nobody; but it must not write.
#[derive(Clone, Default)]
pub(crate) struct Cancellation(Arc<State>);

#[derive(Default)]
struct State {
    is_cancelled: AtomicBool,
    writing: Mutex<()>,
}

impl Cancellation {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Relaxed)
    }

    /// Cancels the restore.
    pub(crate) fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Waits until it writes nothing any more.
    pub(crate) async fn over(self) {
        drop(self.0.writing.lock().await);
    }

    /// Says that it writes, while the answer is held; `None` when it must not.
    pub(crate) async fn writing(&self) -> Option<MutexGuard<'_, ()>> {
        let writing = self.0.writing.lock().await;
        (!self.is_cancelled()).then_some(writing)
    }
}
