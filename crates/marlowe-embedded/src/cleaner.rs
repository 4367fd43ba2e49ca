//! The cleaner of a partition: it decides when retention and compaction run, and how much they do
//! at once. How compaction works is in `compaction`.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, Cleanup};

use crate::cleaning_context::CleaningContext;
use crate::compaction::Pass;
use crate::partition::{Extent, Partition};
use crate::storage::{Outline, Step};

/// The bytes of cleaning work for each byte that is appended. It is enough to end a pass before as
/// many bytes have been appended again.
const PACE: u64 = 4;

/// The bytes of work that are collected before they are done, so that they are worth a write.
const WORTHWHILE: u64 = 256 * 1024;

/// The most dirty bytes that a small log may have before a pass begins, as a multiple of its clean
/// bytes. [`FIRST_PASS`] comes on top.
const MOST_DIRTY: u64 = 16;
/// The dirty bytes that make a first pass worthwhile.
const FIRST_PASS: u64 = 64 * 1024;

/// The most bytes read between two writes when everything is cleaned at once.
const STRIDE: u64 = 16 * 1024 * 1024;

/// The most batches that retention removes at once.
const TRIM: usize = 256;

/// The cleaner of one partition. It removes what retention and compaction do not keep, in small
/// steps that appends pay for.
///
/// A partition has a *clean* part, over which compaction has passed, and a *dirty* part after it.
/// When the dirty part is large enough, a [`Pass`] begins. Each append then adds [`PACE`] bytes of
/// work for each of its bytes. When [`WORTHWHILE`] bytes of work have come together, the pass
/// advances by them. So no append waits for a whole pass.
#[derive(Default)]
pub(crate) struct Cleaner {
    pass: Option<Pass>,
    /// The partition's dirty bytes when it was last looked at.
    seen: u64,
    /// The bytes of work that appends have added since the pass last advanced.
    owed: u64,
}

impl Cleaner {
    /// Does a bounded amount of work.
    pub(crate) fn after_append(
        &mut self,
        context: &CleaningContext<'_>,
        partition: &Arc<Partition>,
    ) -> Result<(), BrokerError> {
        match partition.cleanup {
            Cleanup::Delete { retention: None } => Ok(()),
            Cleanup::Delete { retention: Some(retention) } => trim(context, partition, retention).map(drop),
            Cleanup::Compact => self.compact_some(context, partition),
            Cleanup::CompactDelete { retention } => {
                // A pass under way holds records that must not come back after they were trimmed.
                if self.pass.is_none() {
                    trim(context, partition, retention)?;
                }
                self.compact_some(context, partition)
            }
        }
    }

    /// Does all retention and compaction that is due.
    pub(crate) fn everything(
        &mut self,
        context: &CleaningContext<'_>,
        partition: &Arc<Partition>,
    ) -> Result<(), BrokerError> {
        let (retention, compacted) = match partition.cleanup {
            Cleanup::Delete { retention } => (retention, false),
            Cleanup::Compact => (None, true),
            Cleanup::CompactDelete { retention } => (Some(retention), true),
        };
        self.pass = None;
        if let Some(retention) = retention {
            while trim(context, partition, retention)? {}
        }
        let mut left = compacted;
        while left {
            let mut pass = Pass::begin(context.storage, context.config.clock.now(), partition)?;
            while !pass.advance(context.storage, partition, STRIDE)? {}
            left = !pass.is_last();
        }
        self.seen = partition.extent.lock().dirty_bytes;
        Ok(())
    }

    /// Deletes the records before `offset`. The batch that contains `offset` stays until all of it
    /// lies before the start.
    pub(crate) fn delete(
        &mut self,
        context: &CleaningContext<'_>,
        partition: &Arc<Partition>,
        offset: u64,
    ) -> Result<(), BrokerError> {
        // A pass under way holds records that must not come back.
        self.pass = None;
        while cut(context, partition, |extent, oldest| (extent.start < offset).then(|| oldest.next.min(offset)))? {}
        Ok(())
    }

    fn compact_some(&mut self, context: &CleaningContext<'_>, partition: &Arc<Partition>) -> Result<(), BrokerError> {
        let extent = *partition.extent.lock();
        let added = extent.dirty_bytes.saturating_sub(self.seen);
        self.seen = extent.dirty_bytes;
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => {
                // A log of few keys has few clean bytes. It does not wait for `clean_after_bytes`,
                // because it would grow to far too many times its clean size.
                let enough =
                    (extent.clean_bytes * MOST_DIRTY + FIRST_PASS).min(context.config.clean_after_bytes as u64);
                if extent.dirty_bytes < extent.clean_bytes.max(enough) {
                    return Ok(());
                }
                self.owed = 0;
                Pass::begin(context.storage, context.config.clock.now(), partition)?
            }
        };
        self.owed += added * PACE;
        if self.owed < WORTHWHILE {
            self.pass = Some(pass);
            return Ok(());
        }
        let done = pass.advance(context.storage, partition, std::mem::take(&mut self.owed))?;
        self.seen = partition.extent.lock().dirty_bytes;
        if !done {
            self.pass = Some(pass);
        }
        Ok(())
    }
}

/// Removes the oldest batches, as long as all records of a batch are past `retention` and no group
/// still needs them. Returns whether there may be more of them.
fn trim(context: &CleaningContext<'_>, partition: &Arc<Partition>, retention: Duration) -> Result<bool, BrokerError> {
    let now = context.config.clock.now().millis();
    let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let is_past = |oldest: &Outline| oldest.newest.saturating_add(retention) < now;
    // Looked up only when it matters, because most of the time nothing is past its retention.
    let unread = std::cell::OnceCell::new();
    let first_unread =
        || *unread.get_or_init(|| context.declared.first_unread(partition, context.positions).unwrap_or(u64::MAX));
    cut(context, partition, |_, oldest| (is_past(oldest) && oldest.next <= first_unread()).then_some(oldest.next))
}

/// Moves the partition's start forward for as long as `to`, which gets the oldest batch, returns an
/// offset for it. Then removes the batches before the start. Stops after [`TRIM`] batches, and
/// returns whether there may be more.
fn cut(
    context: &CleaningContext<'_>,
    partition: &Arc<Partition>,
    to: impl Fn(&Extent, &Outline) -> Option<u64>,
) -> Result<bool, BrokerError> {
    let before = *partition.extent.lock();
    let mut extent = before;
    let mut removed = Vec::new();
    while removed.len() < TRIM
        && extent.start < extent.end
        && let Some(oldest) = context.storage.outline(partition.id, extent.start)?
        && let Some(start) = to(&extent, &oldest)
    {
        extent.start = start;
        if start >= oldest.next {
            removed.push(oldest.base);
            let bytes = if oldest.next <= extent.cleaned { &mut extent.clean_bytes } else { &mut extent.dirty_bytes };
            *bytes = bytes.saturating_sub(oldest.bytes as u64);
        }
    }
    if extent.start == before.start {
        return Ok(false);
    }
    let more = removed.len() == TRIM;
    extent.cleaned = extent.cleaned.max(extent.start);
    partition.raise_start(extent.start);
    let step = Step::Replace { partition: partition.clone(), removed, added: Vec::new(), extent };
    context.storage.apply(&[step])?;
    partition.publish(extent);
    Ok(more)
}
