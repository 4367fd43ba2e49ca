//! The ledger: the broker's state, and the one order in which it changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use marlowe_broker::{BrokerError, Cleanup, CommittedOffset, Offset, Reads, TopicConfig, TopicPartition};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::catalog::Catalog;
use crate::cleaner::Cleaner;
use crate::cleaning_context::CleaningContext;
use crate::config::EmbeddedConfig;
use crate::declared::DeclaredReads;
use crate::epoch::Epochs;
use crate::group::Groups;
use crate::partition::{Extent, Partition};
use crate::positions::Positions;
use crate::request::{Answer, Append, Request, Submission, Write};
use crate::storage::{Step, Storage};
use crate::topic;

/// The state of the broker, and the one order in which it changes.
///
/// Each write is checked, stored and then shown to readers. All requests pass through here one
/// after the other, also when several threads send them. A caller that must see all writes that
/// were accepted before it, such as a new owner that asks for positions and ends, first sends a
/// [`Request::Barrier`].
pub(crate) struct Ledger {
    pub(crate) config: EmbeddedConfig,
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) catalog: Catalog,
    pub(crate) positions: Positions,
    pub(crate) declared: DeclaredReads,
    pub(crate) groups: Groups,
    epochs: Epochs,
    /// The cleaners of the partitions, by partition id. One lock is enough, because `order` is held
    /// while they work.
    cleaners: Mutex<HashMap<u32, Cleaner>>,
    /// Locked while a change is made.
    order: Mutex<()>,
    /// Locked for writing to show a write, and for reading to look at several partitions. So a
    /// reader sees a transaction as a whole.
    shown: RwLock<()>,
}

/// The most bytes of a note with a position. It is Kafka's default.
const LONGEST_NOTE: usize = 4096;

/// The extents that partitions will have after a run of writes, by partition id.
type Drafts = BTreeMap<u32, (Arc<Partition>, Extent)>;

impl Ledger {
    pub(crate) fn new(
        config: EmbeddedConfig,
        storage: Box<dyn Storage>,
        catalog: Catalog,
        positions: Positions,
        declared: DeclaredReads,
        first_generation: u64,
    ) -> Self {
        let groups = Groups::new(config.entropy.clone(), first_generation);
        Self {
            config,
            storage,
            catalog,
            positions,
            declared,
            groups,
            epochs: Epochs::default(),
            cleaners: Mutex::default(),
            order: Mutex::default(),
            shown: RwLock::default(),
        }
    }

    /// Looks at several partitions as of one moment: no write is shown while `look` runs.
    pub(crate) fn glance<T>(&self, look: impl FnOnce() -> T) -> T {
        let _shown = self.shown.read();
        look()
    }

    /// Carries out `submissions` in order and answers them. Writes that follow each other are
    /// stored as one.
    pub(crate) fn carry_out(&self, submissions: Vec<Submission>) {
        let _order = self.order.lock();
        let mut writes = Vec::new();
        for submission in submissions {
            if matches!(submission.request, Request::Write(_)) {
                writes.push(submission);
                continue;
            }
            self.write(std::mem::take(&mut writes));
            let answer = self.administer(&submission.request);
            submission.answer(answer);
        }
        self.write(writes);
    }

    fn administer(&self, request: &Request) -> Result<Answer, BrokerError> {
        match request {
            Request::CreateTopic(config) => self.create_topic(config)?,
            Request::DeleteTopic(topic) => self.delete_topic(topic)?,
            Request::DeleteRecords(before) => self.delete_records(before)?,
            Request::DeclareReads { group, reads } => self.declare_reads(group, reads)?,
            Request::DeleteGroup { group, now } => self.delete_group(group, *now)?,
            Request::Enlist(id) => return Ok(Answer::Enlisted(self.epochs.enlist(id.clone()))),
            Request::Clean => self.clean_all()?,
            Request::Barrier | Request::Write(_) => {}
        }
        Ok(Answer::Done)
    }

    fn create_topic(&self, config: &TopicConfig) -> Result<(), BrokerError> {
        topic::validate(config)?;
        let topic = self.catalog.draft(config, self.config.tombstone_retention)?;
        let next_partition = self.catalog.next_partition();
        self.storage.apply(&[Step::CreateTopic { topic: topic.clone(), next_partition }])?;
        self.catalog.insert(topic);
        self.groups.rebalance_all(&self.catalog);
        Ok(())
    }

    fn delete_topic(&self, name: &str) -> Result<(), BrokerError> {
        let topic = self.catalog.topic(name)?;
        let mut steps = vec![Step::DeleteTopic(topic.clone())];
        let positions = self.positions.of_topic(name);
        for (group, place) in &positions {
            let partition = topic.partition(place.partition)?.clone();
            steps.push(Step::Position { group: group.clone(), partition, committed: None });
        }
        // Deleted before the batches go, because readers must not take the missing batches for a
        // gap.
        topic.partitions.iter().for_each(|partition| partition.delete());
        if let Err(error) = self.storage.apply(&steps) {
            topic.partitions.iter().for_each(|partition| partition.restore());
            return Err(error);
        }
        self.catalog.remove(name);
        self.forget_cleaners(&topic.partitions);
        for (group, place) in &positions {
            self.positions.set(group, place, None);
        }
        self.groups.rebalance_all(&self.catalog);
        Ok(())
    }

    fn delete_records(&self, before: &[(TopicPartition, Offset)]) -> Result<(), BrokerError> {
        let mut partitions = Vec::with_capacity(before.len());
        for (place, offset) in before {
            let partition = self.catalog.partition(place)?;
            if partition.cleanup == Cleanup::Compact {
                let topic = &place.topic;
                return Err(BrokerError::InvalidState(format!(
                    "topic `{topic}` is compacted, so its records cannot be deleted up to an offset"
                )));
            }
            let extent = *partition.extent.lock();
            if offset.get() > extent.end {
                return Err(BrokerError::OffsetOutOfRange {
                    partition: place.clone(),
                    offset: *offset,
                    start: Offset::new(extent.start),
                    end: Offset::new(extent.end),
                });
            }
            partitions.push((partition, offset.get()));
        }
        partitions.iter().try_for_each(|(partition, offset)| {
            self.with_cleaner(partition, |cleaner, context| cleaner.delete(context, partition, *offset))
        })
    }

    fn declare_reads(&self, group: &Arc<str>, reads: &[Reads]) -> Result<(), BrokerError> {
        if self.declared.of_group(group) != reads {
            self.storage.apply(&[Step::Reads { group: group.clone(), reads: reads.to_vec() }])?;
            self.declared.set(group, reads.to_vec());
        }
        Ok(())
    }

    fn delete_group(&self, group: &Arc<str>, now: Instant) -> Result<(), BrokerError> {
        self.groups.check_empty(group, now, &self.catalog)?;
        let places = self.positions.of_group(group);
        let mut steps = Vec::with_capacity(places.len() + 1);
        for place in &places {
            let partition = self.catalog.partition(place)?;
            steps.push(Step::Position { group: group.clone(), partition, committed: None });
        }
        steps.push(Step::Reads { group: group.clone(), reads: Vec::new() });
        self.storage.apply(&steps)?;
        places.iter().for_each(|place| self.positions.set(group, place, None));
        self.declared.set(group, Vec::new());
        Ok(())
    }

    /// Stores a run of writes as one. If that fails, stores each write alone, so that a small one
    /// succeeds where the whole run does not fit.
    fn write(&self, mut run: Vec<Submission>) {
        if run.len() > 1 {
            let mut drafts = Drafts::new();
            let mut steps = Vec::new();
            let checked: Vec<_> = run.iter_mut().map(|each| self.accept(each, &mut drafts, &mut steps)).collect();
            self.add_extents(&mut steps, &drafts);
            if self.storage.apply(&steps).is_ok() {
                self.show(&steps);
                run.into_iter().zip(checked).for_each(|(submission, answer)| submission.answer(answer));
                return self.clean_some(drafts.values().map(|(partition, _)| partition));
            }
        }
        for mut submission in run {
            let mut drafts = Drafts::new();
            let mut steps = Vec::new();
            let checked = self.accept(&mut submission, &mut drafts, &mut steps);
            self.add_extents(&mut steps, &drafts);
            let answer = checked.and_then(|answer| {
                if !steps.is_empty() {
                    self.storage.apply(&steps)?;
                    self.show(&steps);
                }
                Ok(answer)
            });
            submission.answer(answer);
            self.clean_some(drafts.values().map(|(partition, _)| partition));
        }
    }

    /// Checks a write, gives its records their offsets and adds its steps. A refused write adds
    /// none.
    fn accept(
        &self,
        submission: &mut Submission,
        drafts: &mut Drafts,
        steps: &mut Vec<Step>,
    ) -> Result<Answer, BrokerError> {
        let Request::Write(write) = &mut submission.request else { return Ok(Answer::Done) };
        self.check(write)?;
        let mut positions = Vec::new();
        for committed in &write.positions {
            for (place, offset) in &committed.offsets {
                let partition = self.catalog.partition(place)?;
                positions.push(Step::Position {
                    group: committed.group.clone(),
                    partition,
                    committed: Some(offset.clone()),
                });
            }
        }
        let marker = write.epoch.is_some();
        let mut ends = Vec::with_capacity(write.appends.len());
        for append in &mut write.appends {
            let partition = &append.partition;
            let (_, extent) =
                drafts.entry(partition.id).or_insert_with(|| (partition.clone(), *partition.extent.lock()));
            ends.push(Offset::new(place(append, extent, marker)));
            steps.push(Step::Append {
                partition: append.partition.clone(),
                batches: append.batches.clone(),
                extent: *extent,
            });
        }
        steps.append(&mut positions);
        Ok(Answer::Ends(ends))
    }

    fn check(&self, write: &Write) -> Result<(), BrokerError> {
        if let Some(epoch) = &write.epoch {
            epoch.check()?;
        }
        let latest = self.config.clock.now() + self.config.max_timestamp_ahead;
        for append in &write.appends {
            append.partition.alive()?;
            if append.batches.iter().any(|batch| batch.newest() > latest.millis()) {
                return Err(BrokerError::RecordRefused {
                    topic: append.partition.place.topic.clone(),
                    reason: format!(
                        "its timestamp is more than {:?} after the broker's clock: correct the timestamp; or, in a \
                         program that opens the broker itself, raise `EmbeddedConfig::max_timestamp_ahead`",
                        self.config.max_timestamp_ahead
                    ),
                });
            }
        }
        for committed in &write.positions {
            if let Some(member) = &committed.member {
                self.groups.check(member, write.now, &self.catalog)?;
            }
            let too_long = |(_, offset): &&(_, CommittedOffset)| offset.metadata.len() > LONGEST_NOTE;
            if let Some((place, offset)) = committed.offsets.iter().find(too_long) {
                let (partition, size) = (place.clone(), offset.metadata.len());
                return Err(BrokerError::NoteTooLong { partition, size, limit: LONGEST_NOTE });
            }
        }
        Ok(())
    }

    /// Gives each append to a partition the partition's final extent, so that they can be shown in
    /// any order.
    fn add_extents(&self, steps: &mut [Step], drafts: &Drafts) {
        for step in steps {
            if let Step::Append { partition, extent, .. } = step
                && let Some((_, last)) = drafts.get(&partition.id)
            {
                *extent = *last;
            }
        }
    }

    /// Shows readers what was stored, and wakes those that wait for it.
    fn show(&self, steps: &[Step]) {
        {
            let _shown = self.shown.write();
            for step in steps {
                match step {
                    Step::Append { partition, extent, .. } => partition.publish(*extent),
                    Step::Position { group, partition, committed } => {
                        self.positions.set(group, &partition.place, committed.clone());
                    }
                    Step::Replace { .. } | Step::Reads { .. } | Step::CreateTopic { .. } | Step::DeleteTopic(_) => {}
                }
            }
        }
        for step in steps {
            if let Step::Append { partition, .. } = step {
                partition.wake();
            }
        }
    }

    /// Does a bounded amount of cleaning in each of `partitions`.
    fn clean_some<'a>(&self, partitions: impl IntoIterator<Item = &'a Arc<Partition>>) {
        for partition in partitions {
            let cleaned = self.with_cleaner(partition, |cleaner, context| cleaner.after_append(context, partition));
            if let Err(error) = cleaned {
                tracing::warn!(
                    partition = %partition.place, %error, "old records could not be removed; trying again later"
                );
            }
        }
    }

    /// Does a bounded amount of the cleaning that became due while the folder was not open.
    pub(crate) fn clean_after_pause(&self) {
        let _order = self.order.lock();
        for topic in self.catalog.all() {
            self.clean_some(&topic.partitions);
        }
    }

    fn clean_all(&self) -> Result<(), BrokerError> {
        for topic in self.catalog.all() {
            for partition in &topic.partitions {
                self.with_cleaner(partition, |cleaner, context| cleaner.everything(context, partition))?;
            }
        }
        Ok(())
    }

    /// Calls `work` with the cleaner of `partition` and the cleaner's context.
    fn with_cleaner<T>(&self, partition: &Partition, work: impl FnOnce(&mut Cleaner, &CleaningContext<'_>) -> T) -> T {
        let Self { config, storage, declared, positions, .. } = self;
        let context = CleaningContext { config, storage: &**storage, declared, positions };
        work(self.cleaners.lock().entry(partition.id).or_default(), &context)
    }

    /// Drops the cleaners of a deleted topic, and with them the records that their passes hold.
    fn forget_cleaners(&self, partitions: &[Arc<Partition>]) {
        let mut cleaners = self.cleaners.lock();
        for partition in partitions {
            cleaners.remove(&partition.id);
        }
    }
}

/// Gives the batches of an append their offsets after `extent`, and extends `extent`. With
/// `marker`, a marker follows the last batch. Returns the offset after the last record.
fn place(append: &mut Append, extent: &mut Extent, marker: bool) -> u64 {
    let count = append.batches.len();
    for (index, batch) in append.batches.iter_mut().enumerate() {
        // Nobody else has the batch before it is stored. After a failed attempt, nobody has it any
        // more.
        if let Some(batch) = Arc::get_mut(batch) {
            batch.place(extent.end, marker && index + 1 == count);
        }
        extent.end = batch.next();
        extent.dirty_bytes += batch.bytes() as u64;
    }
    let last = append.batches.last().map_or(extent.end, |batch: &Arc<Batch>| batch.next());
    if marker && count > 0 { last - 1 } else { last }
}

#[cfg(test)]
mod tests;
