use std::sync::Arc;

use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

use crate::ledger::Ledger;
use crate::request::{Answer, Request, Submission};
use crate::writer::Writer;

/// What the broker and all that it handed out hold on to. When the last of them is gone, the broker is closed.
pub(crate) struct Handle {
    // First, so that it has ended when the ledger is closed.
    writer: Option<Writer>,
    pub(crate) ledger: Arc<Ledger>,
}

/// An answer on its way.
pub(crate) struct Pending {
    operation: &'static str,
    answer: oneshot::Receiver<Result<Answer, BrokerError>>,
}

impl Pending {
    /// Waits for the answer. Dropping the future loses nothing; it comes once.
    pub(crate) async fn answer(&mut self) -> Result<Answer, BrokerError> {
        (&mut self.answer).await.unwrap_or_else(|_| Err(writer_has_ended(self.operation)))
    }
}

impl Handle {
    /// Carries out each request where it is made.
    pub(crate) fn direct(ledger: Ledger) -> Self {
        Self { writer: None, ledger: Arc::new(ledger) }
    }

    /// Has a thread of its own carry out the requests.
    pub(crate) fn with_writer(ledger: Ledger) -> std::io::Result<Self> {
        let ledger = Arc::new(ledger);
        Ok(Self { writer: Some(Writer::start(ledger.clone())?), ledger })
    }

    /// Puts `request` in the order of all. In memory it is carried out before this returns.
    pub(crate) fn submit(&self, operation: &'static str, request: Request) -> Pending {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { request, reply };
        match &self.writer {
            Some(writer) => writer.submit(submission),
            None => self.ledger.carry_out(vec![submission]),
        }
        Pending { operation, answer }
    }

    /// That what is submitted is carried out: the writer's thread, if there is one, is at work.
    pub(crate) fn check(&self, operation: &'static str) -> Result<(), BrokerError> {
        if self.writer.as_ref().is_some_and(Writer::has_ended) { Err(writer_has_ended(operation)) } else { Ok(()) }
    }

    /// Waits until everything accepted so far is done.
    pub(crate) async fn barrier(&self) -> Result<(), BrokerError> {
        if self.writer.as_ref().is_some_and(Writer::is_idle) {
            return Ok(());
        }
        self.submit("waiting for earlier writes", Request::Barrier).answer().await.map(drop)
    }
}

fn writer_has_ended(operation: &'static str) -> BrokerError {
    let reason = "the thread `marlowe-writer` panicked (standard error has the text) and writes nothing any more: start the \
                  program again; what was acknowledged is on the disk";
    BrokerError::Unknown { operation, reason: reason.to_owned() }
}
