//! Log compaction of a partition, one pass at a time. When a pass runs is decided in `cleaner`.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use marlowe_broker::{BrokerError, RecordBatch, Timestamp};

use crate::batch::{Batch, NULL};
use crate::partition::Partition;
use crate::staging::Staging;
use crate::storage::{Step, Storage};

/// The most bytes of batches whose keys one pass holds in memory. The next pass takes the rest.
const MAP_LIMIT: u64 = 64 * 1024 * 1024;

/// One pass of compaction over a partition.
///
/// The pass works in two phases. First it reads the part that was not cleaned yet and notes the
/// last record of each key there. Then it reads all batches from the start. It writes a batch again
/// without the records that have a later one of the same key, and merges small batches on the way.
/// Records keep their offsets, so gaps remain. A step of a pass is stored as a whole, and the
/// partition counts as cleaned only when the pass is done.
///
/// A tombstone that a pass meets for the first time gets a stamp: the time from which it may be
/// removed. A pass at or after that time removes it. Until then, readers that are behind can still
/// learn that the key is gone.
///
/// The last batch is left alone, as Kafka leaves its active segment alone. So the partition's end
/// never lies in a gap.
pub(crate) struct Pass {
    latest: Latest,
    mapping: bool,
    /// The offset at which the pass continues.
    cursor: u64,
    /// The offset at which the pass ends.
    until: u64,
    /// True if the pass goes up to the last batch.
    last: bool,
    now: Timestamp,
    /// The stamp for tombstones that this pass meets for the first time.
    horizon: Timestamp,
    output: Output,
    /// The bytes of the batches that stay.
    kept_bytes: u64,
}

impl Pass {
    pub(crate) fn begin(storage: &dyn Storage, now: Timestamp, partition: &Partition) -> Result<Self, BrokerError> {
        let extent = *partition.extent.lock();
        let until = match extent.end.checked_sub(1).filter(|last| *last >= extent.start) {
            Some(last) => storage.outline(partition.id, last)?.map_or(extent.start, |batch| batch.base),
            None => extent.start,
        };
        Ok(Self {
            latest: Latest::default(),
            mapping: true,
            cursor: extent.cleaned.max(extent.start),
            until,
            last: true,
            now,
            horizon: now + partition.tombstone_retention,
            output: Output::new(storage.batch_bytes()),
            kept_bytes: 0,
        })
    }

    /// Returns whether the pass goes up to the last batch. If it does not, another pass has to
    /// follow.
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }

    /// Continues for about `budget` bytes of batches, and returns whether the pass is done.
    pub(crate) fn advance(
        &mut self,
        storage: &dyn Storage,
        partition: &Arc<Partition>,
        budget: u64,
    ) -> Result<bool, BrokerError> {
        let mut extent = *partition.extent.lock();
        let mut left = budget;
        let mut steps = Vec::new();
        let mut done = false;
        while left > 0 && !done {
            let batch = if self.cursor < self.until { storage.read(partition.id, self.cursor)? } else { None };
            match batch.filter(|batch| batch.next() <= self.until) {
                Some(batch) => {
                    left = left.saturating_sub(batch.bytes() as u64);
                    self.cursor = batch.next();
                    if self.mapping {
                        self.latest.note(batch);
                        if self.latest.bytes >= MAP_LIMIT && self.cursor < self.until {
                            self.until = self.cursor;
                            self.last = false;
                        }
                    } else {
                        self.rewrite(&batch, partition, &mut steps);
                    }
                }
                None if self.mapping => {
                    self.mapping = false;
                    self.cursor = extent.start;
                }
                None => {
                    self.kept_bytes += self.output.finish(partition, &mut steps);
                    done = true;
                }
            }
        }
        if done {
            extent.cleaned = extent.cleaned.max(self.until);
            extent.clean_bytes = self.kept_bytes;
            extent.dirty_bytes = extent.dirty_bytes.saturating_sub(self.latest.bytes);
            steps.push(Step::Replace { partition: partition.clone(), removed: Vec::new(), added: Vec::new(), extent });
        }
        for step in &mut steps {
            if let Step::Replace { extent: stored, .. } = step {
                *stored = extent;
            }
        }
        if !steps.is_empty() {
            storage.apply(&steps)?;
            partition.publish(extent);
        }
        Ok(done)
    }

    fn rewrite(&mut self, batch: &Arc<Batch>, partition: &Arc<Partition>, steps: &mut Vec<Step>) {
        let fate = |index: usize| -> Fate {
            let Some(key) = batch.key(index) else { return Fate::Stays };
            if self.latest.has_later(key, batch, index) {
                return Fate::Goes;
            }
            let stamp = batch.stamp(index);
            let tombstone = stamp.is_some() || batch.entries()[index].value == NULL;
            if !tombstone {
                Fate::Stays
            } else if stamp.unwrap_or(self.horizon.millis()) <= self.now.millis() {
                Fate::Goes
            } else if stamp.is_none() {
                Fate::IsStamped
            } else {
                Fate::Stays
            }
        };
        // Each record is looked up once, because a lookup costs a trip to memory.
        let fates: Vec<Fate> = (0..batch.len()).map(fate).collect();
        let unchanged = fates.iter().all(|fate| *fate == Fate::Stays);
        if unchanged && batch.size() * 2 >= self.output.staging.split() {
            self.kept_bytes += self.output.finish(partition, steps) + batch.bytes() as u64;
            return;
        }
        if !self.output.has_room_for(batch) {
            self.kept_bytes += self.output.finish(partition, steps);
        }
        let base = self.output.take_in(batch, unchanged);
        for index in (0..batch.len()).filter(|index| fates[*index] != Fate::Goes) {
            let delta = (batch.offset(index) - base) as u32;
            self.output.staging.copy(batch, index, delta, self.horizon);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    /// A tombstone that a pass meets for the first time. The time that it stays begins now.
    IsStamped,
    Goes,
}

/// The last record of each key in the batches noted so far.
#[derive(Default)]
struct Latest {
    batches: Vec<Arc<Batch>>,
    places: HashTable<Place>,
    hasher: FixedState,
    bytes: u64,
}

/// A record of the batches. It includes the hash of the key, so that most comparisons need not read
/// the record.
struct Place {
    hash: u32,
    batch: u32,
    index: u32,
}

impl Latest {
    fn note(&mut self, batch: Arc<Batch>) {
        let Self { batches, places, hasher, bytes } = self;
        *bytes += batch.bytes() as u64;
        batches.push(batch);
        let number = batches.len() - 1;
        let batch = &batches[number];
        for index in 0..batch.len() {
            let Some(key) = batch.key(index) else { continue };
            let hash = hasher.hash_one(key) as u32;
            let new = Place { hash, batch: number as u32, index: index as u32 };
            let same = |place: &Place| place.hash == hash && key_at(batches, place) == Some(key);
            match places.entry(spread(hash), same, |place| spread(place.hash)) {
                Entry::Occupied(mut entry) => *entry.get_mut() = new,
                Entry::Vacant(entry) => {
                    entry.insert(new);
                }
            }
        }
    }

    /// Returns whether a record of `key` comes later than the one at `index` of `batch`.
    fn has_later(&self, key: &[u8], batch: &Arc<Batch>, index: usize) -> bool {
        let hash = self.hasher.hash_one(key) as u32;
        let itself =
            |place: &Place| place.index as usize == index && Arc::ptr_eq(&self.batches[place.batch as usize], batch);
        let same = |place: &Place| place.hash == hash && (itself(place) || key_at(&self.batches, place) == Some(key));
        self.places
            .find(spread(hash), same)
            .is_some_and(|place| self.batches[place.batch as usize].offset(place.index as usize) > batch.offset(index))
    }
}

fn key_at<'a>(batches: &'a [Arc<Batch>], place: &Place) -> Option<&'a [u8]> {
    batches[place.batch as usize].key(place.index as usize)
}

/// Returns the hash for the table, which also uses the high bits of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The batches that are being merged into one.
struct Output {
    staging: Staging,
    inputs: Vec<u64>,
    next: u64,
    changed: bool,
}

impl Output {
    fn new(split: usize) -> Self {
        Self { staging: Staging::new(split), inputs: Vec::new(), next: 0, changed: false }
    }

    fn has_room_for(&self, batch: &Batch) -> bool {
        let Some(base) = self.inputs.first() else { return true };
        !self.staging.is_full()
            && self.staging.bytes() + batch.size() <= self.staging.split()
            && batch.next() - base < u64::from(u32::MAX)
    }

    /// Notes that `batch` goes into the merged batch. Returns the base of the merged batch.
    fn take_in(&mut self, batch: &Batch, unchanged: bool) -> u64 {
        self.inputs.push(batch.base());
        self.next = batch.next();
        self.changed |= !unchanged;
        self.inputs[0]
    }

    /// Adds the step that replaces the inputs with the merged batch, unless nothing changed.
    /// Returns the bytes of the merged batch.
    fn finish(&mut self, partition: &Arc<Partition>, steps: &mut Vec<Step>) -> u64 {
        let Some(base) = self.inputs.first().copied() else { return 0 };
        let removed = std::mem::take(&mut self.inputs);
        let changed = std::mem::take(&mut self.changed) || removed.len() > 1;
        let batch = self.staging.take_at(base, self.next);
        let bytes = batch.bytes() as u64;
        if changed {
            let added = if batch.is_empty() { Vec::new() } else { vec![Arc::new(batch)] };
            let extent = *partition.extent.lock();
            steps.push(Step::Replace { partition: partition.clone(), removed, added, extent });
        }
        bytes
    }
}
