//! The storage: where batches, topics, positions and declared reads are kept.
//!
//! The ledger describes a change as [`Step`]s and has them stored together ([`Storage::apply`]),
//! all or none. Readers and the cleaner look up batches by partition id and offset
//! ([`Storage::seek`], [`Storage::read`], [`Storage::outline`]).
//!
//! There are two storages. `memory` is gone with the process. `folder` is one LMDB environment, in
//! which each change is one transaction. Its parts are `opening` (what is checked and read first),
//! `format` (keys and values), `groups` (the numbers of groups), `tail` (a cache of the newest
//! batches), `lock` (one process at a time), `copy` (backups) and `failure` (errors and how to fix
//! them).
//!
//! Start reading at [`Storage`], then `folder`.

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

/// One part of a change to what is stored.
pub(crate) enum Step {
    CreateTopic {
        topic: Arc<Topic>,
        /// The first partition id that is free after the topic's.
        next_partition: u32,
    },
    DeleteTopic(Arc<Topic>),
    Append {
        partition: Arc<Partition>,
        batches: Vec<Arc<Batch>>,
        extent: Extent,
    },
    /// A change by the cleaner: the batches with the bases in `removed` go, and the batches in
    /// `added` come.
    Replace {
        partition: Arc<Partition>,
        removed: Vec<u64>,
        added: Vec<Arc<Batch>>,
        extent: Extent,
    },
    /// Sets what a group reads, which replaces what it read before.
    Reads {
        group: Arc<str>,
        reads: Vec<Reads>,
    },
    /// Sets a group's position in a partition, or removes it with `None`.
    Position {
        group: Arc<str>,
        partition: Arc<Partition>,
        committed: Option<CommittedOffset>,
    },
}

/// A summary of a batch, which is available without reading the records.
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

/// A store of batches. The ledger holds topics, extents and positions in memory, so a storage only
/// has to bring those back when it is opened again.
pub(crate) trait Storage: Send + Sync {
    /// Returns the location for people to read.
    fn location(&self) -> String;

    /// Returns the bytes of records that a batch should have.
    fn batch_bytes(&self) -> usize;

    /// Applies all of `steps` durably, or none of them.
    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError>;

    /// Returns the first batch of `partition` that ends after `offset`.
    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError>;

    /// Returns the batch that [`seek`](Self::seek) returns, for a caller that needs it only once.
    /// So it is not worth keeping in memory.
    fn read(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        self.seek(partition, offset)
    }

    /// Returns the outline of the batch that [`seek`](Self::seek) returns.
    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError>;
}
