//! The producers that a lane writes with, and how they are opened again after a failed commit.

use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use marlowe_broker::{BrokerError, Producer, TransactionalProducer};

use super::command::Dropped;
use super::settings::LaneSettings;
use crate::backoff::Backoff;
use crate::program::Guarantee;
use crate::turn::{Destinations, OutTopics, Outlet};

/// The place of a lane's transactional producer: here in the lane, or away with a commit.
pub(crate) enum LaneProducer {
    Here(Transactions),
    /// It is in the commit that is under way, or was lost in one that failed.
    Away,
}

/// The producer of a lane's commits.
///
/// Under both guarantees, rows, places and positions are committed in a transaction. So a record of
/// a failed commit is never read, and a worker whose session expired cannot write to the changelogs
/// of its successor. Compaction never drops a row because of such records.
///
/// The guarantees differ in the records that events send to topics. Exactly once, these are in the
/// transaction too. At least once, another producer writes them before the commit
/// ([`Outputs`](super::outputs::Outputs)): they can be read at once, and are written again after a
/// crash.
pub(crate) type Transactions = Writer<dyn TransactionalProducer>;

/// The producers of a lane: that of its commits, and that of records which leave before them. The
/// second exists only if the guarantee is at least once.
pub(crate) struct OpenProducers {
    pub(crate) transactions: Transactions,
    pub(crate) outputs: Option<Writer<dyn Producer>>,
}

/// A producer, with its numbers for the partitions it writes to.
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

/// The first pause before a producer is opened again, after another one of its id was opened at the
/// same moment, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(3200);

/// How many times opening a producer is tried again.
const AGAIN: u32 = 6;

impl OpenProducers {
    /// Opens the producers that the program's guarantee needs.
    ///
    /// The transactional id names the worker and the lane. The producer that was opened last fences
    /// the others of the same id. If a worker took over from another one of its name (its
    /// instance), the former one may open its producer again until its group has told it. So
    /// opening is tried again after it was fenced.
    pub(crate) fn open(settings: &LaneSettings) -> BoxFuture<'static, Result<Self, BrokerError>> {
        let (guarantee, broker) = (settings.program.guarantee, settings.broker.clone());
        let id = format!("{}-{}-{}", settings.worker.app, settings.worker.worker, settings.number);
        Box::pin(async move {
            let outputs = match guarantee {
                Guarantee::ExactlyOnce => None,
                Guarantee::AtLeastOnce => Some(Writer::new(broker.producer()?)),
            };
            let mut backoff = Backoff::doubling(FIRST_PAUSE, LONGEST_PAUSE);
            loop {
                match broker.transactional_producer(&id).await {
                    Ok(producer) => return Ok(Self { transactions: Writer::new(producer), outputs }),
                    Err(BrokerError::Fenced { .. }) if backoff.pauses() < AGAIN => backoff.wait().await,
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

/// A new producer that is being opened after a failed commit.
pub(crate) struct Reopening {
    opening: BoxFuture<'static, Result<OpenProducers, BrokerError>>,
    opened: Option<Result<OpenProducers, BrokerError>>,
    dropped: Vec<Dropped>,
    why: String,
}

/// A new producer, and the shards that were dropped before it was opened.
pub(crate) struct Reopened {
    pub(crate) producers: OpenProducers,
    pub(crate) dropped: Vec<Dropped>,
    /// The reason why they were dropped.
    pub(crate) why: String,
}

impl Reopening {
    /// Begins to open a producer. `dropped` are the shards that were dropped, and `why` is the
    /// reason.
    pub(crate) fn begin(settings: &LaneSettings, dropped: Vec<Dropped>, why: String) -> Self {
        Self { opening: OpenProducers::open(settings), opened: None, dropped, why }
    }

    /// Waits until the producer is open, or cannot be opened. Dropping the future loses nothing,
    /// because this can be called again.
    pub(crate) async fn done(&mut self) {
        std::future::poll_fn(|context| {
            if self.opened.is_some() {
                return Poll::Ready(());
            }
            self.opening.as_mut().poll(context).map(|opened| self.opened = Some(opened))
        })
        .await;
    }

    /// Returns the producer, the dropped shards and the reason why they were dropped. The shards
    /// may be opened again now, because the open transaction of the former producer is decided.
    pub(crate) async fn finish(self) -> Result<Reopened, BrokerError> {
        let producers = match self.opened {
            Some(opened) => opened?,
            None => self.opening.await?,
        };
        Ok(Reopened { producers, dropped: self.dropped, why: self.why })
    }
}
