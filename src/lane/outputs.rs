//! [`Outputs`]: the records that leave a lane before their commit, if the guarantee is at least
//! once.

use std::cell::RefCell;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use marlowe_broker::{BrokerError, Producer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commit_pace::{CommitLimits, CommitPace};
use super::producer::Writer;
use crate::turn::{OutTopics, Outbox};

/// The producer of records that leave as soon as their event has finished.
///
/// Records that come while a flush is under way leave with the next one. Flushes follow the load as
/// commits do ([`CommitPace`]). A commit begins when no flush is under way. It takes the records
/// that are left, and waits until the broker has them before the transaction is committed. So a
/// crash repeats records and loses none.
pub(crate) struct Outputs {
    state: OutputState,
    pace: CommitPace,
    /// When the flush under way began.
    began: Instant,
}

enum OutputState {
    /// The guarantee is exactly once, or a new producer is being opened. No records leave.
    Closed,
    Here(Writer<dyn Producer>),
    /// The broker is being waited for, by this future or by a commit.
    Away(BoxFuture<'static, Flushed>),
    /// The broker has answered.
    Back(Flushed),
}

type Flushed = Result<Writer<dyn Producer>, BrokerError>;

/// A producer that is lent to a commit.
pub(crate) struct LentOutputs {
    writer: Writer<dyn Producer>,
    back: oneshot::Sender<Writer<dyn Producer>>,
}

impl Outputs {
    pub(crate) fn new(writer: Option<Writer<dyn Producer>>, limits: CommitLimits) -> Self {
        let state = writer.map_or(OutputState::Closed, OutputState::Here);
        // The shortest interval between commits is no reason to keep records back.
        let limits = CommitLimits { shortest: Duration::ZERO, ..limits };
        Self { state, pace: CommitPace::new(limits), began: Instant::now() }
    }

    /// Returns true if a flush is under way.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.state, OutputState::Away(_) | OutputState::Back(_))
    }

    /// Returns when records that wait may leave. Returns `None` while none can.
    pub(crate) fn next(&self, leaving: &RefCell<Outbox>) -> Option<Instant> {
        let can_leave = matches!(self.state, OutputState::Here(_)) && !leaving.borrow().is_empty();
        can_leave.then(|| self.pace.soonest())
    }

    /// Hands all records to the producer, and begins to wait for the broker.
    ///
    /// # Errors
    /// When the producer refuses a record.
    pub(crate) fn begin(&mut self, leaving: &RefCell<Outbox>, topics: &OutTopics) -> Result<(), BrokerError> {
        let Some(mut writer) = self.take(leaving, topics)? else { return Ok(()) };
        self.pace.begin(self.began);
        self.state = OutputState::Away(Box::pin(async move { writer.flush().await.map(|()| writer) }));
        Ok(())
    }

    /// Hands all records to the producer, and lends it to a commit. Returns `None` if no record has
    /// to leave before the commit.
    ///
    /// # Errors
    /// When the producer refuses a record.
    pub(crate) fn lend(
        &mut self,
        leaving: &RefCell<Outbox>,
        topics: &OutTopics,
    ) -> Result<Option<LentOutputs>, BrokerError> {
        let Some(writer) = self.take(leaving, topics)? else { return Ok(None) };
        let (back, returned) = oneshot::channel();
        self.state = OutputState::Away(Box::pin(async move {
            match returned.await {
                Ok(writer) => Ok(writer),
                // The commit failed. It has the reason, and the lane opens new producers.
                Err(_) => std::future::pending().await,
            }
        }));
        Ok(Some(LentOutputs { writer, back }))
    }

    /// Takes the producer with all records in it, if there are any.
    fn take(
        &mut self,
        leaving: &RefCell<Outbox>,
        topics: &OutTopics,
    ) -> Result<Option<Writer<dyn Producer>>, BrokerError> {
        if leaving.borrow().is_empty() {
            return Ok(None);
        }
        match std::mem::replace(&mut self.state, OutputState::Closed) {
            OutputState::Here(mut writer) => {
                self.began = Instant::now();
                let mut outlet = writer.outlet(topics);
                leaving.borrow_mut().drain(|(topic, partition), record| outlet.send(topic, partition, *record))?;
                self.pace.worked(self.began.elapsed());
                Ok(Some(writer))
            }
            other => {
                self.state = other;
                Ok(None)
            }
        }
    }

    /// Waits for the broker's answer to the flush under way, or forever if there is none. Dropping
    /// the future loses nothing, because this can be called again.
    pub(crate) async fn flushed(&mut self) {
        std::future::poll_fn(|context| match &mut self.state {
            OutputState::Closed | OutputState::Here(_) => Poll::Pending,
            OutputState::Back(_) => Poll::Ready(()),
            OutputState::Away(flush) => flush.as_mut().poll(context).map(|flushed| {
                self.state = OutputState::Back(flushed);
            }),
        })
        .await;
    }

    /// Handles the broker's answer. Records may leave again.
    ///
    /// # Errors
    /// When the broker did not store a record.
    pub(crate) fn finish(&mut self) -> Result<(), BrokerError> {
        match std::mem::replace(&mut self.state, OutputState::Closed) {
            OutputState::Back(flushed) => {
                self.pace.answered(self.began.elapsed(), Duration::ZERO);
                self.state = OutputState::Here(flushed?);
            }
            other => self.state = other,
        }
        Ok(())
    }
}

impl LentOutputs {
    /// Waits until the broker has all records, and gives the producer back to the lane.
    pub(crate) async fn flush(mut self) -> Result<(), BrokerError> {
        self.writer.flush().await?;
        // The lane may have ended.
        let _ = self.back.send(self.writer);
        Ok(())
    }
}

impl Writer<dyn Producer> {
    async fn flush(&mut self) -> Result<(), BrokerError> {
        self.producer.flush().await.map(drop)
    }
}
