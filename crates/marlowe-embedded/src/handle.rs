//! The way from the broker's public objects to its ledger: directly, or through the thread that
//! writes.

use std::sync::Arc;

use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

use crate::ledger::Ledger;
use crate::request::{Answer, Request, Submission};
use crate::writer::Writer;

/// The shared core of the broker and of everything that it opened. The broker is closed when the
/// last reference to it is gone.
pub(crate) struct Handle {
    // The first field, so that the thread has ended before the ledger is closed.
    writer: Option<Writer>,
    pub(crate) ledger: Arc<Ledger>,
}

/// An answer that has not come yet.
pub(crate) struct Pending {
    operation: &'static str,
    answer: oneshot::Receiver<Result<Answer, BrokerError>>,
}

impl Pending {
    /// Waits for the answer, which comes once. Dropping the future loses nothing.
    pub(crate) async fn answer(&mut self) -> Result<Answer, BrokerError> {
        (&mut self.answer).await.unwrap_or_else(|_| Err(writer_has_ended(self.operation)))
    }
}

impl Handle {
    /// Creates a handle that carries out each request on the caller's thread.
    pub(crate) fn direct(ledger: Ledger) -> Self {
        Self { writer: None, ledger: Arc::new(ledger) }
    }

    /// Creates a handle that has one thread carry out all requests.
    pub(crate) fn with_writer(ledger: Ledger) -> std::io::Result<Self> {
        let ledger = Arc::new(ledger);
        Ok(Self { writer: Some(Writer::start(ledger.clone())?), ledger })
    }

    /// Puts `request` in the order of all requests. In memory it is carried out before this
    /// returns.
    pub(crate) fn submit(&self, operation: &'static str, request: Request) -> Pending {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { request, reply };
        match &self.writer {
            Some(writer) => writer.submit(submission),
            None => self.ledger.carry_out(vec![submission]),
        }
        Pending { operation, answer }
    }

    /// Checks that requests are still carried out. They are not after the thread that writes has
    /// panicked.
    pub(crate) fn check(&self, operation: &'static str) -> Result<(), BrokerError> {
        if self.writer.as_ref().is_some_and(Writer::has_ended) { Err(writer_has_ended(operation)) } else { Ok(()) }
    }

    /// Waits until all requests accepted so far are done.
    pub(crate) async fn barrier(&self) -> Result<(), BrokerError> {
        if self.writer.as_ref().is_some_and(Writer::is_idle) {
            return Ok(());
        }
        self.submit("waiting for earlier writes", Request::Barrier).answer().await.map(drop)
    }
}

fn writer_has_ended(operation: &'static str) -> BrokerError {
    let reason = "the thread `marlowe-writer` panicked (standard error has the text) and nothing is written any more: \
                  start the program again; acknowledged records are on the disk";
    BrokerError::Unknown { operation, reason: reason.to_owned() }
}
