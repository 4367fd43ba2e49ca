//! Where batches, topics and positions are kept.

mod copy;
mod failure;
mod folder;
pub(crate) mod format;
mod groups;
mod lock;
mod memory;
mod opening;
mod tail;

use std::sync::Arc;

use marlowe_broker::{BrokerError, CommittedOffset, Reads};

pub(crate) use copy::copy;
pub(crate) use folder::Folder;
pub(crate) use memory::Memory;

use crate::batch::Batch;
use crate::partition::{Extent, Partition};
use crate::topic::Topic;

/// A part of a change to what is stored.
pub(crate) enum Step {
    CreateTopic {
        topic: Arc<Topic>,
        /// The first partition id free after it.
        next_partition: u32,
    },
    DeleteTopic(Arc<Topic>),
    Append {
        partition: Arc<Partition>,
        batches: Vec<Arc<Batch>>,
        extent: Extent,
    },
    /// What the cleaner did: the batches with these bases go, the others come.
    Replace {
        partition: Arc<Partition>,
        removed: Vec<u64>,
        added: Vec<Arc<Batch>>,
        extent: Extent,
    },
    /// What a group reads, in the place of what it read before.
    Reads {
        group: Arc<str>,
        reads: Vec<Reads>,
    },
    /// A group's position in a partition, or that it has none any more.
    Position {
        group: Arc<str>,
        partition: Arc<Partition>,
        committed: Option<CommittedOffset>,
    },
}

/// What there is to know of a batch without reading it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) base: u64,
    pub(crate) next: u64,
    pub(crate) newest: i64,
    pub(crate) bytes: usize,
}

impl Outline {
    pub(crate) fn of(batch: &Batch) -> Self {
        Self { base: batch.base(), next: batch.next(), newest: batch.newest(), bytes: batch.bytes() }
    }
}

/// A place for batches. Topics, extents and positions are held in memory by the ledger; a storage only has to bring them back
/// when it is opened again.
pub(crate) trait Storage: Send + Sync {
    /// Where it is, for people.
    fn location(&self) -> String;

    /// The bytes of records that a batch should have.
    fn batch_bytes(&self) -> usize;

    /// Does all of `steps`, durably, or none of them.
    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError>;

    /// The first batch of `partition` that reaches past `offset`.
    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError>;

    /// The same for one who passes by once: it is not worth keeping in memory.
    fn read(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        self.seek(partition, offset)
    }

    /// The same, only told of.
    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError>;
}
