//! [`Feed`]: a source of a reader, with its position and the clients that fetch it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Offset, TopicPartition};
use tokio::time::Instant;

use crate::batch::KafkaBatch;
use crate::native::{Arrivals, Client, Code, Failure, Messages, Notice, Queue, Told, Topic};

/// The time without records after which a source is quiet.
pub(crate) const QUIET_AFTER: Duration = Duration::from_secs(1);

/// The number of records that a quiet source may bring without reaching its end. After more it is
/// busy.
const QUIET_RECORDS: usize = 1_000;

/// The bit in the number of a queue that tells the two queues of a source apart.
const OTHER_QUEUE: u32 = 1 << 31;

/// How a source is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tempo {
    /// By a client whose fetches wait at the brokers for a short time.
    Busy,
    /// By a client whose fetches wait for a long time. An idle worker then asks seldom.
    Quiet,
}

/// A source: a partition that is read, and the position in it.
///
/// When a source is to be fetched by another client, both clients fetch it until the other one has
/// brought something. From then on, its next fetch has the source, so no record waits for a fetch
/// without it.
pub(crate) struct Feed {
    pub(crate) at: TopicPartition,
    pub(crate) position: i64,
    pub(crate) is_paused: bool,
    /// True if its turn came while it was paused.
    pub(crate) passed_over: bool,
    fetching: Fetching,
    next: Option<Fetching>,
    /// The number of records since the end was reached.
    since_end: usize,
    /// When the end was reached, if no record came after it.
    at_end: Option<Instant>,
}

/// A client's fetching of a source.
struct Fetching {
    tempo: Tempo,
    number: u32,
    queue: Queue,
    topic: Topic,
}

/// The result of looking at a feed's messages.
#[derive(Default)]
pub(crate) struct Advanced {
    /// The records, if the position moved.
    pub(crate) batch: Option<KafkaBatch>,
    /// The first error.
    pub(crate) trouble: Option<Code>,
}

impl Feed {
    /// Starts to fetch a source. Its queue has the number `source` among the `arrivals`.
    pub(crate) fn start(
        client: &Arc<Client>,
        at: TopicPartition,
        position: i64,
        source: u32,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Self, Failure> {
        let fetching = Fetching::start(client, Tempo::Busy, &at, position, source, arrivals)?;
        Ok(Self {
            at,
            position,
            is_paused: false,
            passed_over: false,
            fetching,
            next: None,
            since_end: 0,
            at_end: None,
        })
    }

    /// Returns the number of the source whose queue has `number`.
    pub(crate) fn source_of(number: u32) -> u32 {
        number & !OTHER_QUEUE
    }

    /// Returns the numbers of the feed's queues.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(&self.fetching).chain(&self.next).map(|fetching| fetching.number)
    }

    /// Takes at most `most` messages from the queue with `number`. Returns `None` if it has none.
    pub(crate) fn take(&mut self, number: u32, most: usize) -> Option<(Messages, Told)> {
        if number == self.fetching.number {
            return self.fetching.queue.take(most);
        }
        let next = self.next.take_if(|next| next.number == number)?;
        match next.queue.take(most) {
            Some(taken) => {
                std::mem::replace(&mut self.fetching, next).stop(&self.at);
                Some(taken)
            }
            None => {
                self.next = Some(next);
                None
            }
        }
    }

    /// Has another client fetch the source, from its position on.
    pub(crate) fn fetch_by(
        &mut self,
        client: &Arc<Client>,
        tempo: Tempo,
        arrivals: &Arc<Arrivals>,
    ) -> Result<(), Failure> {
        let number = self.fetching.number ^ OTHER_QUEUE;
        self.next = Some(Fetching::start(client, tempo, &self.at, self.position, number, arrivals)?);
        Ok(())
    }

    /// Returns the tempo that the source should have from now on, if it is another than now.
    pub(crate) fn next_tempo(&self) -> Option<Tempo> {
        match (self.fetching.tempo, self.at_end) {
            _ if self.next.is_some() => None,
            (Tempo::Busy, Some(since)) if since.elapsed() >= QUIET_AFTER => Some(Tempo::Quiet),
            (Tempo::Quiet, _) if self.since_end > QUIET_RECORDS => Some(Tempo::Busy),
            _ => None,
        }
    }

    /// Returns true if the source may become quiet.
    pub(crate) fn may_become_quiet(&self) -> bool {
        self.fetching.tempo == Tempo::Busy && self.at_end.is_some()
    }

    #[cfg(test)]
    pub(crate) fn tempo(&self) -> Tempo {
        self.fetching.tempo
    }

    /// Stops fetching the source.
    pub(crate) fn stop(self) {
        let Self { at, fetching, next, .. } = self;
        std::iter::once(fetching).chain(next).for_each(|fetching| fetching.stop(&at));
    }

    /// Advances over messages, in order.
    pub(crate) fn advance(&mut self, mut messages: Messages) -> Advanced {
        let (from, mut next, mut trouble) = (self.position, self.position, None);
        let mut passed_over = Vec::new();
        let mut is_at_end = false;
        for index in 0..messages.len() {
            match messages.notice(index) {
                // After a change of the leader, librdkafka may fetch again what it has already
                // returned. Another client that takes over may bring what is known, too.
                None if messages.offset(index) < next => passed_over.push(index),
                None => {
                    next = messages.offset(index) + 1;
                    is_at_end = false;
                }
                Some(Notice::End(offset)) => {
                    // The end may be that of a client which is behind.
                    is_at_end = offset >= next;
                    next = next.max(offset);
                    passed_over.push(index);
                }
                Some(Notice::Error(code)) => {
                    trouble = trouble.or(Some(code));
                    passed_over.push(index);
                }
            }
        }
        // Errors, and records that are known, do not change whether the source is at its end.
        if is_at_end {
            (self.since_end, self.at_end) = (0, Some(Instant::now()));
        } else if next > from {
            self.since_end += messages.len() - passed_over.len();
            self.at_end = None;
        }
        if !passed_over.is_empty() {
            messages.retain(|index| passed_over.binary_search(&index).is_err());
        }
        self.position = next;
        // The same end once more is no news.
        let batch = (next > from).then(|| KafkaBatch::new(messages, Offset::new(next as u64)));
        Advanced { batch, trouble }
    }
}

impl Fetching {
    fn start(
        client: &Arc<Client>,
        tempo: Tempo,
        at: &TopicPartition,
        position: i64,
        number: u32,
        arrivals: &Arc<Arrivals>,
    ) -> Result<Self, Failure> {
        let topic = Topic::new(client, &at.topic)?;
        let queue = topic.start(at.partition.get(), position, number, arrivals)?;
        Ok(Self { tempo, number, queue, topic })
    }

    fn stop(self, at: &TopicPartition) {
        self.topic.stop(at.partition.get());
        self.queue.discard();
    }
}
