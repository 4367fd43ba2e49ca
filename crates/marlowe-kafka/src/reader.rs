//! The reader of partitions. It takes turns at the queues of its sources, and finds out why a
//! source cannot be read on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BoxFuture, BrokerError, Fetched, Isolation, Offset, OffsetSpec, Reader, Source, TopicPartition};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::feed::{Feed, QUIET_AFTER, Tempo};
use crate::native::{Arrivals, Code, Messages, Observer, Told};
use crate::reader_clients::ReaderClients;

/// The largest number of messages that are taken from a source at a time. They are so few that they
/// are still in the processor's cache when they are handled.
const OF_A_SOURCE: usize = 250;

/// The interval at which a topic that seems to be deleted is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The number of times that it is looked for.
const LOOKS: u32 = 30;

/// The largest number of sources that become quiet at a time, and the pause until the next ones do.
const CHANGES: usize = 32;
const CHANGE_EVERY: Duration = Duration::from_millis(100);

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
    clients: ReaderClients,
    /// When it is looked next which sources are quiet. `None` while none can be.
    look: Option<Instant>,
    /// Quiet sources that should become busy.
    behind: Vec<u32>,
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
        let said = Arc::new(Said::default());
        Ok(Self {
            cluster: cluster.clone(),
            sources: Vec::new(),
            by_partition: HashMap::new(),
            line: VecDeque::new(),
            arrivals: Arc::default(),
            trouble: None,
            clients: ReaderClients::open(cluster, isolation, said.clone())?,
            said,
            look: None,
            behind: Vec::new(),
        })
    }

    /// Has those sources fetched by the other client that became quiet, or busy.
    fn change_clients(&mut self) -> Result<(), BrokerError> {
        for number in std::mem::take(&mut self.behind) {
            self.change_client(number)?;
        }
        if self.look.take_if(|look| *look <= Instant::now()).is_none() {
            return Ok(());
        }
        let mut changed = 0;
        for number in 0..self.sources.len() as u32 {
            if changed == CHANGES {
                self.look = Some(Instant::now() + CHANGE_EVERY);
                return Ok(());
            }
            changed += usize::from(self.change_client(number)?);
        }
        if self.sources.iter().flatten().any(Feed::may_become_quiet) {
            self.look = Some(Instant::now() + QUIET_AFTER);
        }
        Ok(())
    }

    /// Has a source fetched by the other client, if it should be. Returns true if it should.
    fn change_client(&mut self, number: u32) -> Result<bool, BrokerError> {
        let Some(Some(feed)) = self.sources.get_mut(number as usize) else { return Ok(false) };
        let Some(tempo) = feed.next_tempo() else { return Ok(false) };
        let client = self.clients.of(tempo)?;
        let begun = feed.fetch_by(&client, tempo, &self.arrivals);
        begun.map_err(|failure| self.cluster.attempt("reading").failed_at(&failure, &feed.at))?;
        Ok(true)
    }

    /// Takes what is there from the sources that may have something, in turn. Returns `None` if
    /// nothing is there.
    fn take(&mut self) -> Option<Vec<Fetched>> {
        self.arrivals.take(&mut self.line);
        let (mut fetched, mut count) = (Vec::new(), 0);
        for _ in 0..self.line.len() {
            let Some(number) = self.line.pop_front() else { break };
            let source = Feed::source_of(number);
            let Some(Some(feed)) = self.sources.get_mut(source as usize) else { continue };
            if feed.is_paused {
                feed.passed_over = true;
                continue;
            }
            let taken = feed.take(number, OF_A_SOURCE).map(|(messages, told)| {
                if told == Told::NotYet {
                    self.line.push_back(number);
                }
                messages
            });
            let said = self.said.0.lock().take();
            count += taken.as_ref().map_or(0, Messages::len);
            let advanced = taken.map(|messages| feed.advance(messages)).unwrap_or_default();
            if feed.next_tempo() == Some(Tempo::Busy) {
                self.behind.push(source);
            } else if self.look.is_none() && feed.may_become_quiet() {
                self.look = Some(Instant::now() + QUIET_AFTER);
            }
            if let Some(batch) = advanced.batch {
                fetched.push(Fetched { source: Source(source), batch: Arc::new(batch) });
            }
            if let Some(code) = advanced.trouble.or(said) {
                let trouble = Trouble { at: feed.at.clone(), offset: Offset::new(feed.position as u64), code };
                if trouble.code.is_passing() {
                    tracing::debug!("reading {}: {}", trouble.at, trouble.code);
                } else {
                    let explained = trouble.explain(self.cluster.clone());
                    self.trouble = Some((Source(source), Box::pin(explained)));
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
        let client = self.clients.of(Tempo::Busy)?;
        let feed = Feed::start(&client, partition.clone(), offset.get() as i64, source.0, &self.arrivals);
        let feed = feed.map_err(failed)?;
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
            feed.stop();
            // The source's turn must not go to the next source with its number.
            self.arrivals.take(&mut self.line);
            self.line.retain(|number| Feed::source_of(*number) != source.0);
            self.behind.retain(|number| *number != source.0);
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
                self.line.extend(feed.numbers());
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
                self.change_clients()?;
                match self.take() {
                    // These messages were no records, and moved no position.
                    Some(fetched) if fetched.is_empty() => {}
                    Some(fetched) => return Ok(fetched),
                    None => match self.look {
                        Some(look) => drop(timeout_at(look, self.arrivals.come()).await),
                        None => self.arrivals.come().await,
                    },
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use marlowe_broker::{NewRecord, Partition, Producer, Timestamp};
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::KafkaConfig;
    use crate::producer::KafkaProducer;

    /// Polls until the source has a tempo. Returns how many records came.
    async fn read_until(reader: &mut KafkaReader, tempo: Tempo) -> usize {
        let (mut count, deadline) = (0, Instant::now() + Duration::from_secs(30));
        while reader.sources[0].as_ref().unwrap().tempo() != tempo {
            assert!(Instant::now() < deadline, "it is not {tempo:?} after {count} records");
            if let Ok(fetched) = timeout_at(Instant::now() + Duration::from_millis(10), reader.poll()).await {
                count += fetched.unwrap().iter().map(|fetched| fetched.batch.len()).sum::<usize>();
            }
        }
        count
    }

    /// Waits for librdkafka's threads, in real time.
    #[tokio::test]
    async fn a_source_becomes_quiet_and_busy_again() {
        const MANY: usize = 20_000;
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("events", 1, 1).unwrap();
        let cluster = Cluster::connect(KafkaConfig::new(mock.bootstrap_servers())).await.unwrap();
        let at = TopicPartition { topic: "events".into(), partition: Partition::new(0) };
        cluster.check_partitions(&at.topic, &[at.partition]).await.unwrap();
        let mut producer = KafkaProducer::open(&cluster).unwrap();
        let to = producer.destination(&at).unwrap();
        let record = NewRecord { timestamp: Timestamp::from_millis(0), key: None, value: Some(b"event"), headers: &[] };
        let mut reader = KafkaReader::open(&cluster, Isolation::ReadUncommitted).unwrap();
        reader.assign(&at, Offset::ZERO).unwrap();

        producer.send(to, record).unwrap();
        producer.flush().await.unwrap();
        assert_eq!(read_until(&mut reader, Tempo::Quiet).await, 1);
        (0..MANY).for_each(|_| producer.send(to, record).unwrap());
        producer.flush().await.unwrap();
        let first = read_until(&mut reader, Tempo::Busy).await;
        assert!(first > 0, "it is busy because of what it brought");
        assert_eq!(first + read_until(&mut reader, Tempo::Quiet).await, MANY);
    }
}
