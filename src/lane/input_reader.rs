//! The input reader of a lane: it fetches the input partitions of the lane's shards and queues
//! their records for the agents.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use marlowe_broker::{BrokerError, Fetched, Offset, Reader, Source, TopicPartition};

use crate::error::RunError;
use crate::shard::Shard;
use crate::turn::RecordQueue;

/// The reader of a lane's input partitions. It knows which agents read each of them.
pub(crate) struct InputReader {
    reader: Box<dyn Reader>,
    feeds: BTreeMap<Source, Feed>,
    /// The partitions that are paused, because enough bytes of them wait.
    paused: BTreeSet<Source>,
    /// How many waiting bytes of a partition are enough.
    limit: usize,
}

/// A partition that is being read, and the agents that read it. The agents are of one shard.
struct Feed {
    inputs: Vec<Rc<RecordQueue>>,
    shard: Rc<Shard>,
}

impl Feed {
    /// Returns how many bytes wait for the agent that is furthest behind.
    fn waiting(&self) -> usize {
        self.inputs.iter().map(|input| input.bytes()).max().unwrap_or(0)
    }
}

impl InputReader {
    /// Creates an input reader that reads each partition ahead by at most about `limit` bytes.
    pub(crate) fn new(reader: Box<dyn Reader>, limit: usize) -> Self {
        Self { reader, feeds: BTreeMap::new(), paused: BTreeSet::new(), limit }
    }

    /// Begins to read a shard's inputs. Each partition is read from the place of the agent that is
    /// furthest behind.
    pub(crate) fn open(&mut self, shard: &Rc<Shard>) -> Result<Vec<Source>, RunError> {
        let mut partitions: BTreeMap<_, Vec<Rc<RecordQueue>>> = BTreeMap::new();
        for input in shard.agents.iter().map(|agent| &agent.input) {
            partitions.entry(input.source.clone()).or_default().push(input.clone());
        }
        let mut opened = Vec::new();
        for (partition, inputs) in partitions {
            let from = inputs.iter().map(|input| input.position()).min().unwrap_or(Offset::ZERO);
            let doing = format!("opening {partition} at {from}");
            let source = self.reader.assign(&partition, from).map_err(RunError::broker(doing))?;
            self.feeds.insert(source, Feed { inputs, shard: shard.clone() });
            opened.push(source);
        }
        Ok(opened)
    }

    pub(crate) fn close(&mut self, source: Source) {
        self.reader.unassign(source);
        self.feeds.remove(&source);
        self.paused.remove(&source);
    }

    /// Goes on with a partition at `start`, because the records before it are gone. Returns the
    /// source that the partition had before, and the one that it has now.
    pub(crate) fn go_on_at(
        &mut self,
        partition: &TopicPartition,
        start: Offset,
    ) -> Result<Option<(Source, Source)>, RunError> {
        let reads = |feed: &Feed| feed.inputs.iter().any(|input| input.source == *partition);
        let Some(before) = self.feeds.iter().find(|(_, feed)| reads(feed)).map(|(source, _)| *source) else {
            return Ok(None);
        };
        self.reader.unassign(before);
        self.paused.remove(&before);
        let doing = format!("opening {partition} at {start}");
        let now = self.reader.assign(partition, start).map_err(RunError::broker(doing))?;
        if let Some(feed) = self.feeds.remove(&before) {
            feed.inputs.iter().for_each(|input| input.skip_to(start));
            self.feeds.insert(now, feed);
        }
        Ok(Some((before, now)))
    }

    /// Waits for records, or forever if there is nothing to read.
    pub(crate) async fn next(&mut self) -> Result<Vec<Fetched>, BrokerError> {
        if self.paused.len() == self.feeds.len() {
            return std::future::pending().await;
        }
        self.reader.poll().await
    }

    /// Queues records for the agents that read them and wakes their shards. Pauses partitions of
    /// which enough waits.
    pub(crate) fn dispatch(&mut self, fetched: Vec<Fetched>) {
        for Fetched { source, batch } in fetched {
            let Some(feed) = self.feeds.get(&source) else { continue };
            for input in &feed.inputs {
                input.push(&batch);
            }
            if feed.waiting() >= self.limit && self.paused.insert(source) {
                self.reader.pause(source);
                feed.inputs.iter().for_each(|input| input.pause(Some(self.limit / 2)));
            }
            feed.shard.link.wake();
        }
    }

    /// Resumes paused partitions of which at most half of the limit waits.
    pub(crate) fn go_on(&mut self) {
        let (feeds, reader, limit) = (&self.feeds, &mut self.reader, self.limit);
        self.paused.retain(|source| {
            let feed = feeds.get(source);
            let is_full = feed.is_some_and(|feed| feed.waiting() > limit / 2);
            if !is_full {
                reader.resume(*source);
                feed.iter().flat_map(|feed| &feed.inputs).for_each(|input| input.pause(None));
            }
            is_full
        });
    }
}
