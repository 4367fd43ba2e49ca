//! Requests to agents from outside shards, and the listener for their replies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe_broker::{
    BrokerError, Entropy, Isolation, Offset, OffsetSpec, Partition, RecordBatch, SharedBroker, TopicPartition,
};
use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::watch;
use tokio::time::{Instant, timeout_at};

use super::ask_error::AskError;
use super::ask_headers::{ASKS, CORRELATION, REPLY_ERROR, REPLY_TO, find};
use super::producer::{ClientProducer, Outgoing};
use super::sent::Sent;
use crate::backoff::Backoff;
use crate::limits::after;

/// The pause before another attempt if replies cannot be read.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Sends requests to agents and receives their replies. It reads one partition of the topic of
/// replies, which other askers may share.
#[derive(Clone)]
pub(crate) struct Asker {
    shared: Arc<AskerShared>,
}

struct AskerShared {
    /// A random name of this run, which begins the correlation of each request. So nobody takes a
    /// reply to a request of an earlier run.
    run: Arc<str>,
    replies: TopicPartition,
    producer: ClientProducer,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Reply>>>,
    next: AtomicU64,
    ear: watch::Sender<Ear>,
    counters: AskCounters,
}

/// Counters of requests that went wrong.
#[derive(Clone)]
pub(crate) struct AskCounters {
    /// Replies that arrived when nobody waited for them any more.
    pub(crate) late: Counter,
    /// Requests that were not answered in time.
    pub(crate) timed_out: Counter,
}

/// The state of the listener for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    /// Nobody has asked yet, so nothing is read.
    Closed,
    Wanted,
    /// The position is known from which replies are read, so no reply to a request that is sent
    /// from now on is missed.
    Open,
    Gone,
}

/// The bytes of a reply, which may have no value, or the reason why there is no reply.
type Reply = Result<Option<Vec<u8>>, String>;

impl Asker {
    /// Makes an asker that receives replies in one of the `partitions` of the topic `replies`, and
    /// the task that listens for it.
    pub(crate) fn new(
        replies: Arc<str>,
        partitions: u32,
        entropy: &dyn Entropy,
        producer: ClientProducer,
        counters: AskCounters,
        broker: SharedBroker,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let number = entropy.next();
        let partition = Partition::new((number % u64::from(partitions.max(1))) as u32);
        let shared = Arc::new(AskerShared {
            run: format!("{number:016x}").into(),
            replies: TopicPartition { topic: replies, partition },
            producer,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            ear: watch::Sender::new(Ear::Closed),
            counters,
        });
        (Self { shared: shared.clone() }, listen(ReplyListener(shared), broker))
    }

    /// Waits until the listener is open, so that no reply to a later request is missed. `within` is
    /// the whole time limit, for the error.
    pub(crate) async fn hears(&self, agent: &Arc<str>, deadline: Instant, within: Duration) -> Result<(), AskError> {
        let ear = &self.shared.ear;
        ear.send_if_modified(|ear| {
            let first = *ear == Ear::Closed;
            if first {
                *ear = Ear::Wanted;
            }
            first
        });
        let mut ear = ear.subscribe();
        match timeout_at(deadline, ear.wait_for(|ear| matches!(ear, Ear::Open | Ear::Gone))).await {
            Ok(Ok(ear)) if *ear == Ear::Open => Ok(()),
            Ok(_) => Err(AskError::Stopped { agent: agent.clone(), request: None }),
            Err(_) => Err(self.timed_out(agent, within, None)),
        }
    }

    /// Sends a request to `agent`. `within` is the time limit for the send and the reply together.
    pub(crate) async fn ask(
        &self,
        agent: &Arc<str>,
        mut record: Outgoing,
        within: Duration,
    ) -> Result<Pending, AskError> {
        let deadline = after(within);
        self.hears(agent, deadline, within).await?;
        let ticket = self.ticket();
        let AskerShared { run, replies, producer, .. } = &*self.shared;
        let headers = [
            (ASKS, agent.to_string()),
            (REPLY_TO, format!("{}/{}", replies.topic, replies.partition)),
            (CORRELATION, format!("{run}-{}", ticket.number)),
        ];
        record.headers.extend(headers.map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))));
        match timeout_at(deadline, producer.send(record)).await {
            Ok(Ok(request)) => Ok(Pending { agent: agent.clone(), request, ticket, deadline, within }),
            Ok(Err(source)) => Err(AskError::Send { agent: agent.clone(), source }),
            Err(_) => Err(self.timed_out(agent, within, None)),
        }
    }

    fn ticket(&self) -> Ticket {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        self.shared.waiting.lock().insert(number, sender);
        Ticket { asker: self.clone(), number, reply }
    }

    fn timed_out(&self, agent: &Arc<str>, waited: Duration, request: Option<Sent>) -> AskError {
        self.shared.counters.timed_out.increment(1);
        AskError::TimedOut { agent: agent.clone(), waited, request }
    }
}

/// A place in the list of callers that wait for a reply. Dropping it gives the place up.
struct Ticket {
    asker: Asker,
    number: u64,
    reply: oneshot::Receiver<Reply>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.asker.shared.waiting.lock().remove(&self.number);
    }
}

/// A request that was sent and has no reply yet.
pub(crate) struct Pending {
    pub(crate) agent: Arc<str>,
    pub(crate) request: Sent,
    ticket: Ticket,
    deadline: Instant,
    within: Duration,
}

impl Pending {
    /// Waits for the reply. Returns its bytes, and the position of the request.
    pub(crate) async fn reply(self) -> Result<(Option<Vec<u8>>, Sent), AskError> {
        let Self { agent, request, mut ticket, deadline, within } = self;
        match timeout_at(deadline, &mut ticket.reply).await {
            Ok(Ok(Ok(value))) => Ok((value, request)),
            Ok(Ok(Err(reason))) => Err(AskError::Failed { agent, request, reason }),
            Ok(Err(_)) => Err(AskError::Stopped { agent, request: Some(request) }),
            Err(_) => Err(ticket.asker.timed_out(&agent, within, Some(request))),
        }
    }
}

/// The listener's lifetime: when it is dropped, no more replies are received.
struct ReplyListener(Arc<AskerShared>);

impl Drop for ReplyListener {
    fn drop(&mut self) {
        self.0.ear.send_replace(Ear::Gone);
        // This ends the wait of all callers.
        self.0.waiting.lock().clear();
    }
}

async fn listen(listener: ReplyListener, broker: SharedBroker) {
    let shared = &*listener.0;
    let _ = shared.ear.subscribe().wait_for(|ear| *ear != Ear::Closed).await;
    let (mut position, mut begin) = (None, OffsetSpec::Latest);
    let mut backoff = Backoff::every(TRY_AGAIN);
    loop {
        let Err(error) = shared.read_from(&broker, &mut position, begin).await;
        if let BrokerError::OffsetOutOfRange { .. } = error {
            (position, begin) = (None, OffsetSpec::Earliest);
        }
        tracing::warn!("{} cannot be read; trying again: {error}", shared.replies);
        backoff.wait().await;
    }
}

impl AskerShared {
    async fn read_from(
        &self,
        broker: &SharedBroker,
        position: &mut Option<Offset>,
        begin: OffsetSpec,
    ) -> Result<std::convert::Infallible, BrokerError> {
        let TopicPartition { topic, partition } = &self.replies;
        let from = match *position {
            Some(position) => position,
            None => {
                let offsets = broker.offsets(topic, std::slice::from_ref(partition), begin).await?;
                offsets.first().copied().unwrap_or_default()
            }
        };
        let mut reader = broker.reader(Isolation::ReadCommitted)?;
        reader.assign(&self.replies, from)?;
        *position = Some(from);
        self.ear.send_replace(Ear::Open);
        loop {
            for fetched in reader.poll().await? {
                self.take(&*fetched.batch);
                *position = Some(fetched.batch.next_offset());
            }
        }
    }

    fn take(&self, batch: &dyn RecordBatch) {
        for index in 0..batch.len() {
            let headers = batch.headers(index);
            let Some(number) = find(&headers, CORRELATION).and_then(|whose| self.own(whose)) else { continue };
            let reply = match find(&headers, REPLY_ERROR) {
                None => Ok(batch.get(index).value.map(<[u8]>::to_vec)),
                Some(reason) => Err(String::from_utf8_lossy(reason).into_owned()),
            };
            let waits = self.waiting.lock().remove(&number);
            if waits.is_none_or(|waits| waits.send(reply).is_err()) {
                self.counters.late.increment(1);
            }
        }
    }

    /// Returns the number of the request that a reply belongs to, if the request is of this run.
    fn own(&self, correlation: &[u8]) -> Option<u64> {
        let number = std::str::from_utf8(correlation).ok()?.strip_prefix(&*self.run)?.strip_prefix('-')?;
        number.parse().ok()
    }
}
