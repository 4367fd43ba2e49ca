//! The reader of partitions. It takes turns at the queues of its sources, and finds out why a
//! source cannot be read on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BoxFuture, BrokerError, Fetched, Isolation, Offset, OffsetSpec, Reader, Source, TopicPartition};
use parking_lot::Mutex;

use crate::batch::KafkaBatch;
use crate::cluster::Cluster;
use crate::native::{Arrivals, Client, Code, Configuration, Kind, Messages, Notice, Observer, Queue, Told, Topic};

/// The largest number of messages that are taken from a source at a time. They are so few that they
/// are still in the processor's cache when they are handled.
const OF_A_SOURCE: usize = 250;

/// The interval at which a topic that seems to be deleted is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The number of times that it is looked for.
const LOOKS: u32 = 30;

/// The number of messages that one poll returns at most, approximately.
const OF_A_POLL: usize = 16_000;

/// A reader of partitions. Each partition has a queue of its own. librdkafka fetches ahead into the
/// queue, and stops when it is full. The queue of a paused source is left alone.
pub(crate) struct KafkaReader {
    cluster: Arc<Cluster>,
    sources: Vec<Option<Feed>>,
    by_partition: HashMap<TopicPartition, Source>,
    /// The numbers of the sources that may have something, in the order of their turns.
    line: VecDeque<u32>,
    arrivals: Arc<Arrivals>,
    /// The running inquiry about a source that cannot be read on. A caller of `poll` may stop
    /// waiting for it, and the next call continues it.
    trouble: Option<(Source, BoxFuture<'static, Result<Again, BrokerError>>)>,
    /// The error that librdkafka reports while a source's messages are taken.
    said: Arc<Said>,
    client: Arc<Client>,
}

struct Feed {
    at: TopicPartition,
    position: i64,
    is_paused: bool,
    /// True if its turn came while it was paused.
    passed_over: bool,
    queue: Queue,
    topic: Topic,
}

/// An error of a source. The cluster has to be asked before it can be explained.
struct Trouble {
    at: TopicPartition,
    offset: Offset,
    code: Code,
}

/// A source whose topic exists after all, and the offset from which it is read on.
struct Again {
    at: TopicPartition,
    offset: Offset,
}

/// An error of a source that librdkafka does not report among its messages: its topic no longer
/// exists.
#[derive(Default)]
struct Said(Mutex<Option<Code>>);

impl Observer for Said {
    fn error(&self, code: Code, reason: &str) {
        tracing::debug!("reading: {reason}");
        if !code.is_passing() {
            self.0.lock().get_or_insert(code);
        }
    }
}

impl KafkaReader {
    pub(crate) fn open(cluster: &Arc<Cluster>, isolation: Isolation) -> Result<Self, BrokerError> {
        const DEFAULTS: [(&str, &str); 6] = [
            // A topic existed when it was assigned. So its deletion is reported after 5 s, and not
            // after half a minute.
            ("topic.metadata.propagation.max.ms", "5000"),
            // A source that was full is fetched again as soon as there is room, and not a second
            // later.
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.error.backoff.ms", "50"),
            // librdkafka has one fetch in flight at each broker. If all busy sources are full when
            // it begins, the fetch asks only for the idle ones, and the broker holds it back. The
            // time for which it does so is less than what is read ahead lasts.
            ("fetch.wait.max.ms", "30"),
            ("queued.min.messages", "100000"),
            // The approximate limit of what is read ahead of each partition. Small records take
            // three times as much memory. With 1024, which is as much as one fetch brings, a lane
            // would wait for a quarter of its time.
            ("queued.max.messages.kbytes", "4096"),
        ];
        let isolation = match isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let configuration = Configuration::new(&cluster.config, &DEFAULTS)
            .set("isolation.level", isolation)
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true");
        let said = Arc::new(Said::default());
        let client = Client::observed(Kind::Consumer, &configuration, said.clone())?;
        Ok(Self {
            cluster: cluster.clone(),
            sources: Vec::new(),
            by_partition: HashMap::new(),
            line: VecDeque::new(),
            arrivals: Arc::default(),
            trouble: None,
            said,
            client,
        })
    }

    /// Takes what is there from the sources that may have something, in turn. Returns `None` if
    /// nothing is there.
    fn take(&mut self) -> Option<Vec<Fetched>> {
        self.arrivals.take(&mut self.line);
        let (mut fetched, mut count) = (Vec::new(), 0);
        for _ in 0..self.line.len() {
            let Some(number) = self.line.pop_front() else { break };
            let Some(Some(feed)) = self.sources.get_mut(number as usize) else { continue };
            if feed.is_paused {
                feed.passed_over = true;
                continue;
            }
            let taken = feed.queue.take(OF_A_SOURCE).map(|(messages, told)| {
                if told == Told::NotYet {
                    self.line.push_back(number);
                }
                messages
            });
            let said = self.said.0.lock().take();
            count += taken.as_ref().map_or(0, Messages::len);
            let (batch, notice) = taken.map_or((None, None), |messages| feed.advance(messages));
            if let Some(batch) = batch {
                fetched.push(Fetched { source: Source(number), batch: Arc::new(batch) });
            }
            if let Some(code) = notice.or(said) {
                let trouble = Trouble { at: feed.at.clone(), offset: Offset::new(feed.position as u64), code };
                if trouble.code.is_passing() {
                    tracing::debug!("reading {}: {}", trouble.at, trouble.code);
                } else {
                    let explained = trouble.explain(self.cluster.clone());
                    self.trouble = Some((Source(number), Box::pin(explained)));
                    return Some(fetched);
                }
            }
            if count >= OF_A_POLL {
                break;
            }
        }
        (count > 0).then_some(fetched)
    }
}

impl Trouble {
    /// Asks the cluster what is wrong, and returns that as an error. A topic that its broker does
    /// not know may still exist, because brokers that restart learn of their topics late. If it
    /// exists, returns where to read on.
    async fn explain(self, cluster: Arc<Cluster>) -> Result<Again, BrokerError> {
        let Trouble { at, offset, code } = self;
        let here = std::slice::from_ref(&at.partition);
        if code == Code::OFFSET_RESET {
            let start = cluster.offsets(&at.topic, here, OffsetSpec::Earliest).await?;
            let end = cluster.offsets(&at.topic, here, OffsetSpec::Latest).await?;
            let (start, end) = (start.first().copied(), end.first().copied());
            return Err(BrokerError::OffsetOutOfRange {
                offset,
                start: start.unwrap_or_default(),
                end: end.unwrap_or_default(),
                partition: at,
            });
        }
        if code.is_unknown_topic() {
            for _ in 0..LOOKS {
                tokio::time::sleep(LOOK_AGAIN).await;
                cluster.topics.forget(&at.topic);
                if cluster.offsets(&at.topic, here, OffsetSpec::Latest).await.is_ok() {
                    return Ok(Again { at, offset });
                }
            }
        }
        Err(cluster.attempt("reading").failed_at(&code.into(), &at))
    }
}

impl Feed {
    /// Advances over messages, in order. Returns the records as a batch if the position moved, and
    /// the first error if there is one.
    fn advance(&mut self, mut messages: Messages) -> (Option<KafkaBatch>, Option<Code>) {
        let (from, mut next, mut trouble) = (self.position, self.position, None);
        let mut passed_over = Vec::new();
        for index in 0..messages.len() {
            match messages.notice(index) {
                // After a change of the leader, librdkafka may fetch again what it has already
                // returned.
                None if messages.offset(index) < next => passed_over.push(index),
                None => next = messages.offset(index) + 1,
                Some(Notice::End(offset)) => {
                    next = next.max(offset);
                    passed_over.push(index);
                }
                Some(Notice::Error(code)) => {
                    trouble = trouble.or(Some(code));
                    passed_over.push(index);
                }
            }
        }
        if !passed_over.is_empty() {
            messages.retain(|index| passed_over.binary_search(&index).is_err());
        }
        self.position = next;
        // The same end once more is no news.
        let batch = (next > from).then(|| KafkaBatch::new(messages, Offset::new(next as u64)));
        (batch, trouble)
    }
}

impl Reader for KafkaReader {
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        self.cluster.check_partition(partition)?;
        let source = match self.by_partition.get(partition) {
            Some(source) => {
                let source = *source;
                self.unassign(source);
                source
            }
            None => {
                let free = self.sources.iter().position(Option::is_none).unwrap_or(self.sources.len());
                Source(free as u32)
            }
        };
        let failed = |failure| self.cluster.attempt("reading").failed_at(&failure, partition);
        let topic = Topic::new(&self.client, &partition.topic).map_err(failed)?;
        let (at, position) = (partition.clone(), offset.get() as i64);
        let begun = topic.start(at.partition.get(), position, source.0, &self.arrivals);
        let queue = begun.map_err(failed)?;
        let feed = Feed { at, position, is_paused: false, passed_over: false, queue, topic };
        let place = source.0 as usize;
        if place == self.sources.len() {
            self.sources.push(None);
        }
        self.sources[place] = Some(feed);
        self.by_partition.insert(partition.clone(), source);
        Ok(source)
    }

    fn unassign(&mut self, source: Source) {
        if let Some(feed) = self.sources.get_mut(source.0 as usize).and_then(Option::take) {
            self.by_partition.remove(&feed.at);
            self.trouble.take_if(|(troubled, _)| *troubled == source);
            feed.topic.stop(feed.at.partition.get());
            feed.queue.discard();
            // The source's turn must not go to the next source with its number.
            drop(feed);
            self.arrivals.take(&mut self.line);
            self.line.retain(|number| *number != source.0);
        }
    }

    fn pause(&mut self, source: Source) {
        if let Some(Some(feed)) = self.sources.get_mut(source.0 as usize) {
            feed.is_paused = true;
        }
    }

    fn resume(&mut self, source: Source) {
        if let Some(Some(feed)) = self.sources.get_mut(source.0 as usize) {
            feed.is_paused = false;
            if std::mem::take(&mut feed.passed_over) {
                self.line.push_back(source.0);
                self.arrivals.wake();
            }
        }
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
        Box::pin(async move {
            loop {
                if let Some((source, trouble)) = &mut self.trouble {
                    let (source, found) = (*source, trouble.await);
                    match found {
                        Ok(Again { at, offset }) => self.assign(&at, offset)?,
                        Err(error) => {
                            self.unassign(source);
                            return Err(error);
                        }
                    };
                }
                match self.take() {
                    // These messages were no records, and moved no position.
                    Some(fetched) if fetched.is_empty() => {}
                    Some(fetched) => return Ok(fetched),
                    None => self.arrivals.come().await,
                }
            }
        })
    }
}
