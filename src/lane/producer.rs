//! What a lane writes with, and how that is opened again after a commit that did not go through.

use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use marlowe_broker::{BrokerError, Producer, TransactionalProducer, Written};

use super::command::Dropped;
use super::settings::LaneSettings;
use crate::program::Guarantee;
use crate::turn::{Destinations, OutTopics, Outlet};

/// What a lane writes with.
pub(crate) enum LaneProducer {
    Here(Producers),
    /// In a commit that is under way, or lost in one that failed.
    Away,
}

/// The producers of a lane.
///
/// Rows, places and positions are committed in a transaction under both guarantees. So a record of a failed commit is never read. A
/// worker whose session expired cannot write to the changelogs of its successor. Compaction never drops a row because of such records.
///
/// The guarantee decides about sent records. Exactly once, they are in the transaction too. At least once, another producer writes
/// them before the commit: they can be read at once, and are written again after a crash.
pub(crate) struct Producers {
    pub(crate) transaction: Writer<dyn TransactionalProducer>,
    /// At least once, writes sent records.
    pub(crate) outputs: Option<Writer<dyn Producer>>,
}

/// A producer, and its names for the partitions it writes to.
pub(crate) struct Writer<P: ?Sized> {
    pub(crate) producer: Box<P>,
    pub(crate) destinations: Destinations,
}

impl<P: ?Sized> Writer<P> {
    fn new(producer: Box<P>) -> Self {
        Self { producer, destinations: Destinations::default() }
    }
}

impl Writer<dyn TransactionalProducer> {
    pub(crate) fn outlet<'a>(&'a mut self, topics: &'a OutTopics) -> Outlet<'a> {
        Outlet { producer: &mut *self.producer, destinations: &mut self.destinations, topics }
    }
}

impl Writer<dyn Producer> {
    pub(crate) fn outlet<'a>(&'a mut self, topics: &'a OutTopics) -> Outlet<'a> {
        Outlet { producer: &mut *self.producer, destinations: &mut self.destinations, topics }
    }
}

impl Producers {
    /// Writes sent records, then commits the transaction. In this order a crash repeats records and loses none.
    pub(crate) async fn commit(&mut self) -> Result<Written, BrokerError> {
        if let Some(outputs) = &mut self.outputs {
            outputs.producer.flush().await?;
        }
        self.transaction.producer.commit().await
    }
}

/// How long a producer that is to be opened, and finds another of its id opened at the same moment, waits before it tries again
/// at first, and how many times it does: each time twice as long.
const BACKOFF: Duration = Duration::from_millis(100);
const AGAIN: u32 = 6;

impl LaneProducer {
    /// Opens what the program's guarantee asks for. The last one to be opened counts: where a worker took over from one of its
    /// name (its instance), that one may try again until its group has told it.
    pub(crate) fn open(settings: &LaneSettings) -> BoxFuture<'static, Result<Self, BrokerError>> {
        let (guarantee, broker) = (settings.program.guarantee, settings.broker.clone());
        let id = format!("{}-{}-{}", settings.worker.app, settings.worker.worker, settings.number);
        Box::pin(async move {
            let outputs = match guarantee {
                Guarantee::ExactlyOnce => None,
                Guarantee::AtLeastOnce => Some(Writer::new(broker.producer()?)),
            };
            let mut tries = 0;
            loop {
                match broker.transactional_producer(&id).await {
                    Ok(producer) => return Ok(Self::Here(Producers { transaction: Writer::new(producer), outputs })),
                    Err(BrokerError::Fenced { .. }) if tries < AGAIN => {
                        tokio::time::sleep(BACKOFF * 2_u32.pow(tries)).await;
                        tries += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

/// A new producer under way, after a commit that did not go through.
pub(crate) struct Reopening {
    opening: BoxFuture<'static, Result<LaneProducer, BrokerError>>,
    opened: Option<Result<LaneProducer, BrokerError>>,
    dropped: Vec<Dropped>,
    why: String,
}

impl Reopening {
    /// Begins it; `dropped` are the shards that were dropped, and `why` is the reason.
    pub(crate) fn begin(settings: &LaneSettings, dropped: Vec<Dropped>, why: String) -> Self {
        Self { opening: LaneProducer::open(settings), opened: None, dropped, why }
    }

    /// Waits until it is there, or cannot be. It can be dropped and called again.
    pub(crate) async fn done(&mut self) {
        std::future::poll_fn(|context| {
            if self.opened.is_some() {
                return Poll::Ready(());
            }
            self.opening.as_mut().poll(context).map(|opened| self.opened = Some(opened))
        })
        .await;
    }

    /// The producer, and what may be begun anew now: whatever the one before it left is decided.
    pub(crate) async fn finish(self) -> Result<(LaneProducer, Vec<Dropped>, String), BrokerError> {
        let producer = match self.opened {
            Some(opened) => opened?,
            None => self.opening.await?,
        };
        Ok((producer, self.dropped, self.why))
    }
}
