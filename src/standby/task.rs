//! The standby task: it chooses the shards to follow, reads their changelogs, and hands their
//! stores over.
//!
//! # Hand-over
//!
//! **A shard comes to this worker.** Before its restore, the worker sends
//! [`StandbyCommand::Release`]. The task counts the shard as the worker's own from then on, so that
//! it does not follow it again. It stops following the shard, writes what it has read, and sends
//! the open store, also one in memory. The restore then reads the rest of the changelogs into that
//! store. If the shard was not followed, there is no store to send.
//!
//! **A shard leaves this worker.** After the shard is closed, the worker sends
//! [`StandbyCommand::Offer`] with its open store. The task keeps the store, because the directory
//! does not name the next owner yet. When it does, the task follows the shard with this store if
//! this worker is to be its standby, and closes the store otherwise. If no owner is known for
//! [`KEEP`], the store is closed.
//!
//! So at any time either the shard or the task writes to the store, and never both.
//!
//! # After an error
//!
//! Standbys are not needed for the worker's own work. So an error does not end the worker. The task
//! takes a new reader and follows each shard again from what its store has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use marlowe_broker::{Fetched, Isolation, Offset, OffsetSpec, Partition, Reader, Source, TopicPartition};
use marlowe_state::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::handle::{Followed, StandbyCommand};
use super::replica::Follower;
use crate::backoff::Backoff;
use crate::cluster::stand_by;
use crate::error::RunError;
use crate::query::{Routes, StandbySlice};
use crate::restore::{Restorer, close};
use crate::shard::ShardId;
use crate::watch;

/// How often the task looks up the ends of the logs, and which shards it is to follow.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the task waits before it tries again after an error.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long the store of a shard that left is kept while no worker is known to own the shard.
const KEEP: Duration = Duration::from_secs(30);

/// The most bytes of records that may wait to be written, of all shards together.
const UNWRITTEN_BYTES: usize = 64 << 20;

/// The task that follows the shards for which this worker is a standby. It has a thread of its own,
/// and one reader for all shards.
pub(crate) struct StandbyTask {
    pub(crate) worker: Arc<str>,
    /// How many workers are standbys for a shard.
    pub(crate) replicas: usize,
    pub(crate) restorer: Arc<Restorer>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) commands: mpsc::UnboundedReceiver<StandbyCommand>,
    pub(crate) report: watch::Sender<Vec<Followed>>,
}

/// The standby task at work, with a reader.
struct Keeping {
    keeper: StandbyTask,
    reader: Box<dyn Reader>,
    /// The shards that this worker owns, or is about to own.
    own: BTreeSet<ShardId>,
    /// The stores of shards that left, until it is known whether this worker is to follow them.
    kept: BTreeMap<ShardId, (Arc<dyn Store>, Instant)>,
    followers: BTreeMap<ShardId, Follower>,
    sources: BTreeMap<Source, ShardId>,
    look_at: Instant,
}

impl StandbyTask {
    /// Works forever.
    pub(crate) async fn run(mut self) {
        let mut reader = self.restorer.broker.reader(Isolation::ReadCommitted);
        let mut backoff = Backoff::every(TRY_AGAIN);
        loop {
            match reader {
                Ok(reader) => return Keeping::new(self, reader).run().await,
                Err(error) => tracing::warn!(worker = %self.worker, "standbys cannot read; trying again: {error}"),
            }
            // Until there is a reader, there is no store to hand over.
            let until = Instant::now() + backoff.next_pause();
            while let Ok(Some(command)) = tokio::time::timeout_at(until, self.commands.recv()).await {
                if let StandbyCommand::Release(_, released) = command {
                    let _ = released.send(None);
                }
            }
            reader = self.restorer.broker.reader(Isolation::ReadCommitted);
        }
    }
}

impl Keeping {
    fn new(keeper: StandbyTask, reader: Box<dyn Reader>) -> Self {
        let (own, kept, look_at) = (BTreeSet::new(), BTreeMap::new(), Instant::now());
        Self { keeper, reader, own, kept, followers: BTreeMap::new(), sources: BTreeMap::new(), look_at }
    }

    async fn run(mut self) {
        let mut changed = self.keeper.routes.directory.changed();
        loop {
            if let Err(error) = self.step(&mut changed).await {
                tracing::warn!(
                    worker = %self.keeper.worker,
                    "a standby failed; all standbys of the worker start again from their stores: {error}"
                );
                self.begin_again().await;
            }
        }
    }

    async fn step(&mut self, changed: &mut watch::Receiver<()>) -> Result<(), RunError> {
        while let Ok(command) = self.keeper.commands.try_recv() {
            self.obey(command)?;
        }
        if Instant::now() >= self.look_at {
            self.look().await?;
        }
        if self.followers.values().any(|follower| follower.tail.is_unwritten()) {
            // Batches that are already here are written together.
            match self.reader.poll().now_or_never() {
                Some(fetched) => return self.take(fetched.map_err(RunError::broker("standing by"))?),
                None => self.write_all()?,
            }
        }
        let has_sources = !self.sources.is_empty();
        tokio::select! {
            biased;
            command = self.keeper.commands.recv() => match command {
                Some(command) => self.obey(command),
                // The worker is gone, and this task ends soon.
                None => std::future::pending().await,
            },
            _ = changed.changed() => self.settle().await,
            () = tokio::time::sleep_until(self.look_at) => Ok(()),
            fetched = self.reader.poll(), if has_sources => {
                self.take(fetched.map_err(RunError::broker("standing by"))?)
            }
        }
    }

    fn obey(&mut self, command: StandbyCommand) -> Result<(), RunError> {
        match command {
            StandbyCommand::Release(shard, released) => {
                self.own.insert(shard);
                let store = match self.kept.remove(&shard) {
                    Some((store, _)) => Some(store),
                    None => self.unfollow(shard)?,
                };
                if let Err(Some(store)) = released.send(store) {
                    close(&*store);
                }
            }
            StandbyCommand::Offer(shard, store) => {
                self.own.remove(&shard);
                if let Some(store) = store {
                    self.kept.insert(shard, (store, Instant::now()));
                }
                self.look_at = Instant::now();
            }
        }
        Ok(())
    }

    /// Looks up which shards to follow, and then where their logs end.
    async fn look(&mut self) -> Result<(), RunError> {
        self.look_at = Instant::now() + LOOK_EVERY;
        self.settle().await?;
        self.rebuild_outlived().await?;
        let (looked_at, clock) = (Instant::now(), self.keeper.restorer.clock.now());
        let mut logs: BTreeMap<Arc<str>, Vec<(ShardId, Source, Partition)>> = BTreeMap::new();
        for (shard, follower) in &self.followers {
            for (source, partition) in &follower.logs {
                let log = (*shard, *source, partition.partition);
                logs.entry(partition.topic.clone()).or_default().push(log);
            }
        }
        let mut ends: BTreeMap<ShardId, Vec<(Source, Offset)>> = BTreeMap::new();
        for (topic, logs) in logs {
            let partitions: Vec<Partition> = logs.iter().map(|(.., partition)| *partition).collect();
            let looked_up = self.keeper.restorer.broker.offsets(&topic, &partitions, OffsetSpec::Latest).await;
            let looked_up = looked_up.map_err(RunError::broker(format!("looking up the ends of {topic}")))?;
            for ((shard, source, _), end) in logs.into_iter().zip(looked_up) {
                ends.entry(shard).or_default().push((source, end));
            }
        }
        for (shard, ends) in ends {
            if let Some(follower) = self.followers.get_mut(&shard) {
                follower.look_to(looked_at, clock, ends);
            }
        }
        Ok(())
    }

    /// Follows those shards again from the start of their logs that stood still for longer than the
    /// logs keep tombstones.
    async fn rebuild_outlived(&mut self) -> Result<(), RunError> {
        let outlived = self.followers.iter().filter(|(_, follower)| follower.tail.is_outlived());
        for shard in outlived.map(|(shard, _)| *shard).collect::<Vec<_>>() {
            if let Some(store) = self.unfollow(shard)? {
                self.kept.insert(shard, (store, Instant::now()));
                // The store's age makes `follow` empty it.
                self.follow(shard).await?;
            }
        }
        Ok(())
    }

    /// Follows the shards for which this worker is to be a standby, and no others.
    async fn settle(&mut self) -> Result<(), RunError> {
        let directory = self.keeper.routes.directory.clone();
        let workers = directory.workers();
        let groups = self.keeper.restorer.topology.groups.clone();
        for (number, group) in groups.iter().enumerate().filter(|(_, group)| !group.tables.is_empty()) {
            for partition in Partition::all(group.partitions) {
                let shard = ShardId { group: number, partition };
                if self.own.contains(&shard) {
                    continue;
                }
                let Some(owner) = directory.owner(&group.name, partition) else {
                    // The shard is moving. Its store stays here until the next owner is known.
                    let is_old = self.kept.get(&shard).is_some_and(|(_, since)| since.elapsed() > KEEP);
                    if let Some((store, _)) = is_old.then(|| self.kept.remove(&shard)).flatten() {
                        close(&*store);
                    }
                    continue;
                };
                if owner.worker == self.keeper.worker {
                    continue;
                }
                let chosen = stand_by(&workers, &owner.worker, &group.name, partition.get(), self.keeper.replicas);
                if !chosen.into_iter().any(|worker| *worker == self.keeper.worker) {
                    let kept = self.kept.remove(&shard).map(|(store, _)| store);
                    for store in kept.into_iter().chain(self.unfollow(shard)?) {
                        close(&*store);
                    }
                } else if !self.followers.contains_key(&shard) {
                    self.follow(shard).await?;
                }
            }
        }
        Ok(())
    }

    async fn follow(&mut self, shard: ShardId) -> Result<(), RunError> {
        let restorer = self.keeper.restorer.clone();
        let store = match self.kept.remove(&shard) {
            Some((store, _)) => store,
            None => match restorer.open(shard) {
                // A reader still uses the store. The next look tries again.
                Err(RunError::Store { source, .. }) if matches!(*source, StoreError::InUse { .. }) => return Ok(()),
                opened => opened?,
            },
        };
        let logs = match restorer.logs(shard, &*store).await {
            Ok(logs) => logs,
            Err(error) => {
                self.kept.insert(shard, (store, Instant::now()));
                return Err(error);
            }
        };
        let mut follower = Follower::new(store, restorer.clock.clone());
        for log in logs {
            let partition = TopicPartition::new(log.table.identity().changelog.clone(), log.partition);
            let doing = format!("standing by at {partition} from {}", log.from);
            match self.reader.assign(&partition, log.from) {
                Ok(source) => {
                    self.sources.insert(source, shard);
                    follower.add(source, partition, log);
                }
                Err(error) => {
                    self.followers.insert(shard, follower);
                    return Err(RunError::broker(doing)(error));
                }
            }
        }
        for (table, slice) in follower.slices() {
            let standby = StandbySlice { slice, freshness: follower.freshness.clone() };
            self.keeper.routes.slices.stand_by(&table, shard.partition, Some(standby));
        }
        self.followers.insert(shard, follower);
        self.tell();
        Ok(())
    }

    /// Stops following a shard and returns its store, into which everything that was read is
    /// written.
    fn unfollow(&mut self, shard: ShardId) -> Result<Option<Arc<dyn Store>>, RunError> {
        let Some(mut follower) = self.followers.remove(&shard) else { return Ok(None) };
        for source in follower.logs.keys() {
            self.reader.unassign(*source);
            self.sources.remove(source);
        }
        for table in &self.keeper.restorer.topology.groups[shard.group].tables {
            self.keeper.routes.slices.stand_by(table, shard.partition, None);
        }
        self.tell();
        follower.write()?;
        Ok(Some(follower.store))
    }

    fn tell(&self) {
        let followed = |(shard, follower): (&ShardId, &Follower)| Followed {
            shard: *shard,
            freshness: follower.freshness.clone(),
            lag: follower.lag.clone(),
        };
        let mut all: Vec<Followed> = self.followers.iter().map(followed).collect();
        all.sort_by_key(|followed| followed.shard);
        self.keeper.report.send_replace(all);
    }

    fn take(&mut self, fetched: Vec<Fetched>) -> Result<(), RunError> {
        for Fetched { source, batch } in fetched {
            let Some(follower) = self.sources.get(&source).and_then(|shard| self.followers.get_mut(shard)) else {
                continue;
            };
            let read = follower.tail.position(source).distance_to(batch.next_offset());
            self.keeper.restorer.progress.followed.fetch_add(read, Ordering::Relaxed);
            follower.tail.take(source, &*batch);
        }
        let waiting: usize = self.followers.values().map(|follower| follower.tail.bytes()).sum();
        if waiting >= UNWRITTEN_BYTES { self.write_all() } else { Ok(()) }
    }

    fn write_all(&mut self) -> Result<(), RunError> {
        self.followers.values_mut().try_for_each(Follower::write)
    }

    /// Starts again after an error, with a new reader. Each shard goes on from what its store has.
    async fn begin_again(&mut self) {
        for (shard, follower) in std::mem::take(&mut self.followers) {
            for table in &self.keeper.restorer.topology.groups[shard.group].tables {
                self.keeper.routes.slices.stand_by(table, shard.partition, None);
            }
            self.kept.insert(shard, (follower.store.clone(), Instant::now()));
        }
        self.sources.clear();
        self.tell();
        let mut backoff = Backoff::every(TRY_AGAIN);
        loop {
            backoff.wait().await;
            match self.keeper.restorer.broker.reader(Isolation::ReadCommitted) {
                Ok(reader) => {
                    self.reader = reader;
                    return;
                }
                Err(error) => {
                    tracing::warn!(worker = %self.keeper.worker, "standbys cannot read; trying again: {error}")
                }
            }
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let followers = std::mem::take(&mut self.followers).into_values();
        let followed = followers.map(|mut follower| {
            if let Err(error) = follower.write() {
                tracing::warn!("a standby cannot write what it has read: {error}");
            }
            follower.store
        });
        let kept = std::mem::take(&mut self.kept).into_values().map(|(store, _)| store);
        followed.chain(kept).for_each(|store| close(&*store));
    }
}
