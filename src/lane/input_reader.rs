use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use marlowe_broker::{BrokerError, Fetched, Offset, Reader, Source, TopicPartition};

use crate::error::RunError;
use crate::shard::Shard;
use crate::turn::RecordQueue;

/// What a lane reads: its shards' input partitions, each for the agents that read it.
pub(crate) struct InputReader {
    reader: Box<dyn Reader>,
    feeds: BTreeMap<Source, Feed>,
    /// Of these, those of which enough waits.
    paused: BTreeSet<Source>,
    /// How many bytes of a partition are enough.
    limit: usize,
}

/// A partition that is being read, and the agents that read it, which are of one shard.
struct Feed {
    inputs: Vec<Rc<RecordQueue>>,
    shard: Rc<Shard>,
}

impl Feed {
    /// How many bytes wait for the agent that is least far.
    fn waiting(&self) -> usize {
        self.inputs.iter().map(|input| input.bytes()).max().unwrap_or(0)
    }
}

impl InputReader {
    /// Reads with `reader`, each partition ahead by at most about `limit` bytes.
    pub(crate) fn new(reader: Box<dyn Reader>, limit: usize) -> Self {
        Self { reader, feeds: BTreeMap::new(), paused: BTreeSet::new(), limit }
    }

    /// Begins to read a shard's inputs, each partition from where the agent goes on that is least far.
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

    /// Reads a partition on from `start`, before which nothing is there any more. Gives the names it had and has now.
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

    /// Waits for records; for ever when there is nothing to read.
    pub(crate) async fn next(&mut self) -> Result<Vec<Fetched>, BrokerError> {
        if self.paused.len() == self.feeds.len() {
            return std::future::pending().await;
        }
        self.reader.poll().await
    }

    /// Hands records to the agents that read them, and wakes those; partitions of which enough waits are paused.
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

    /// Goes on with paused partitions of which no more than half as much waits.
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
