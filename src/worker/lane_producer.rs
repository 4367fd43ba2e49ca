use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use marlowe_broker::{BrokerError, Producer, TransactionalProducer};

use super::lane::LaneSettings;
use super::lane_command::Dropped;
use crate::program::Guarantee;

/// What a lane writes with.
pub(crate) enum LaneProducer {
    Transactional(Box<dyn TransactionalProducer>),
    Plain(Box<dyn Producer>),
    /// In a commit that is under way, or lost in one that failed.
    Away,
}

/// How long a producer that is to be opened, and finds another of its id opened at the same moment, waits before it tries again
/// at first, and how many times it does: each time twice as long.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN: u32 = 6;

impl LaneProducer {
    /// Opens what the program's guarantee asks for. The last one to be opened counts: where a worker took over from one of its
    /// name (its instance), that one may try again until its group has told it.
    pub(crate) fn open(settings: &LaneSettings) -> BoxFuture<'static, Result<Self, BrokerError>> {
        let (guarantee, broker) = (settings.program.guarantee, settings.broker.clone());
        let id = format!("{}-{}-{}", settings.worker.app, settings.worker.worker, settings.number);
        Box::pin(async move {
            if guarantee == Guarantee::AtLeastOnce {
                return Ok(Self::Plain(broker.producer()?));
            }
            let mut tries = 0;
            loop {
                match broker.transactional_producer(&id).await {
                    Ok(producer) => return Ok(Self::Transactional(producer)),
                    Err(BrokerError::Fenced { .. }) if tries < AGAIN => {
                        tokio::time::sleep(AGAIN_AFTER * 2_u32.pow(tries)).await;
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
    why: BrokerError,
}

impl Reopening {
    /// Begins it; `dropped` are the shards that were dropped, and `why` is the reason.
    pub(crate) fn begin(settings: &LaneSettings, dropped: Vec<Dropped>, why: BrokerError) -> Self {
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
    pub(crate) async fn finish(self) -> Result<(LaneProducer, Vec<Dropped>, BrokerError), BrokerError> {
        let producer = match self.opened {
            Some(opened) => opened?,
            None => self.opening.await?,
        };
        Ok((producer, self.dropped, self.why))
    }
}
