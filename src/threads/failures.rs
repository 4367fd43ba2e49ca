//! The failures that end a worker, or all workers of a process, and where they are reported.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::error::RunError;
use crate::panics::panic_message;
use crate::{panic_place, watch};

/// The place where the parts of a worker, or of a process, report what ends it.
///
/// The process is told each failure. The worker to which a failure belongs stops with the first
/// one: it commits what is finished, closes its shards and leaves the group.
#[derive(Clone)]
pub(crate) struct Failures {
    told: mpsc::UnboundedSender<RunError>,
    here: Arc<watch::Sender<bool>>,
    /// The signal of the process, whose failures are also those of all its workers.
    process: Option<Arc<watch::Sender<bool>>>,
}

impl Failures {
    /// Creates the failures of a process, and the receiver to which they are reported.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<RunError>) {
        let (told, failures) = mpsc::unbounded_channel();
        (Self { told, here: Arc::new(watch::Sender::new(false)), process: None }, failures)
    }

    /// Creates the failures of one of the process's workers.
    pub(crate) fn of_worker(&self) -> Self {
        Self {
            told: self.told.clone(),
            here: Arc::new(watch::Sender::new(false)),
            process: Some(self.process.as_ref().unwrap_or(&self.here).clone()),
        }
    }

    /// Reports a failure.
    pub(crate) fn tell(&self, error: RunError) {
        // This comes first, so that the receiver of the error already finds the worker not ready.
        self.here.send_replace(true);
        if let Err(untold) = self.told.send(error) {
            // The process is stopping, or it is a client, where nothing listens.
            tracing::error!("{}", untold.0);
        }
    }

    /// Reports that `thread` panicked.
    pub(crate) fn tell_panic(&self, thread: &Arc<str>, panic: &(dyn Any + Send)) {
        let place = panic_place::take().map(|place| format!(" at {place}")).unwrap_or_default();
        let error = RunError::Panicked { thread: thread.clone(), place, reason: panic_message(panic) };
        tracing::error!("{error}");
        self.tell(error);
    }

    /// Returns whether something has failed that ends the worker.
    pub(crate) fn have_come(&self) -> bool {
        *self.here.subscribe().borrow() || self.process.as_ref().is_some_and(|process| *process.subscribe().borrow())
    }

    /// Waits until something fails that ends the worker. Returns at once if it already has.
    pub(crate) fn come(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut here = self.here.subscribe();
        let mut process = self.process.as_ref().map(|process| process.subscribe());
        async move {
            let above = async {
                match &mut process {
                    // The senders live as long as the parts that can fail.
                    Some(process) => drop(process.wait_for(|failed| *failed).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = here.wait_for(|failed| *failed) => {}
                () = above => {}
            }
        }
    }
}
