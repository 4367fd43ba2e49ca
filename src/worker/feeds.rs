use std::collections::BTreeMap;
use std::rc::Rc;

use marlowe_broker::{BrokerError, Fetched, Offset, Reader, Source};

use super::RunError;
use crate::agent::Input;
use crate::shard::Shard;

/// What a lane reads: its shards' input partitions, each for the agents that read it.
pub(crate) struct Feeds {
    reader: Box<dyn Reader>,
    feeds: BTreeMap<Source, Feed>,
}

/// A partition that is being read, and the agents that read it, which are of one shard.
struct Feed {
    inputs: Vec<Rc<Input>>,
    shard: Rc<Shard>,
    paused: bool,
}

impl Feeds {
    pub(crate) fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, feeds: BTreeMap::new() }
    }

    /// Begins to read a shard's inputs, each partition from where the agent goes on that is least far.
    pub(crate) fn open(&mut self, shard: &Rc<Shard>) -> Result<Vec<Source>, RunError> {
        let mut partitions: BTreeMap<_, Vec<Rc<Input>>> = BTreeMap::new();
        for input in shard.agents.iter().map(|agent| &agent.input) {
            partitions.entry(input.source.clone()).or_default().push(input.clone());
        }
        let mut opened = Vec::new();
        for (partition, inputs) in partitions {
            let from = inputs.iter().map(|input| input.position()).min().unwrap_or(Offset::ZERO);
            let doing = format!("opening {partition} at {from}");
            let source = self.reader.assign(&partition, from).map_err(RunError::broker(doing))?;
            self.feeds.insert(source, Feed { inputs, shard: shard.clone(), paused: false });
            opened.push(source);
        }
        Ok(opened)
    }

    pub(crate) fn close(&mut self, source: Source) {
        self.reader.unassign(source);
        self.feeds.remove(&source);
    }

    /// Waits for records; for ever when there is nothing to read.
    pub(crate) async fn next(&mut self) -> Result<Vec<Fetched>, BrokerError> {
        if self.feeds.values().all(|feed| feed.paused) {
            return std::future::pending().await;
        }
        self.reader.poll().await
    }

    /// Hands records to the agents that read them, and wakes those.
    pub(crate) fn dispatch(&mut self, fetched: Vec<Fetched>) {
        for Fetched { source, batch } in fetched {
            let Some(feed) = self.feeds.get(&source) else { continue };
            for input in &feed.inputs {
                input.push(&batch);
            }
            feed.shard.link.wake();
        }
    }

    /// Pauses partitions of which `limit` bytes wait, and goes on with those of which no more than half as many do.
    pub(crate) fn balance(&mut self, limit: usize) {
        for (source, feed) in &mut self.feeds {
            let waiting = feed.inputs.iter().map(|input| input.bytes()).max().unwrap_or(0);
            if !feed.paused && waiting >= limit {
                feed.paused = true;
                self.reader.pause(*source);
            } else if feed.paused && waiting <= limit / 2 {
                feed.paused = false;
                self.reader.resume(*source);
            }
        }
    }
}
