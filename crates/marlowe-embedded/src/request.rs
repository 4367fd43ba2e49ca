//! The requests that the ledger carries out in order, and their answers.

use std::sync::Arc;

use marlowe_broker::{BrokerError, CommittedOffset, GroupMetadata, Offset, Reads, TopicConfig, TopicPartition};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::epoch::Epoch;
use crate::partition::Partition;

/// A request that has a place in the order of all changes.
pub(crate) enum Request {
    Write(Write),
    CreateTopic(TopicConfig),
    DeleteTopic(Arc<str>),
    /// Deletes the records before the offsets.
    DeleteRecords(Vec<(TopicPartition, Offset)>),
    /// Sets which topics a group reads.
    DeclareReads {
        group: Arc<str>,
        reads: Vec<Reads>,
    },
    DeleteGroup {
        group: Arc<str>,
        now: Instant,
    },
    /// Opens a new producer with this transactional id. The answer is its epoch.
    Enlist(Arc<str>),
    /// Does all cleaning that is due.
    Clean,
    /// Does nothing, and is answered when all earlier requests are done.
    Barrier,
}

/// Records and positions that become visible together.
pub(crate) struct Write {
    /// The epoch of the transactional producer, or `None` outside a transaction.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) appends: Vec<Append>,
    pub(crate) positions: Vec<GroupPositions>,
    /// The time of the request, by the tokio clock of the caller.
    pub(crate) now: Instant,
}

/// Batches to append to a partition.
pub(crate) struct Append {
    pub(crate) partition: Arc<Partition>,
    pub(crate) batches: Vec<Arc<Batch>>,
}

/// Positions of a group, committed in the name of a member, or by an administrator if `member` is
/// `None`.
pub(crate) struct GroupPositions {
    pub(crate) group: Arc<str>,
    pub(crate) member: Option<GroupMetadata>,
    pub(crate) offsets: Vec<(TopicPartition, CommittedOffset)>,
}

/// The answer to a request.
pub(crate) enum Answer {
    Done,
    /// For each append: the offset after its last record.
    Ends(Vec<Offset>),
    Enlisted(Epoch),
}

/// A request, and where its answer goes.
pub(crate) struct Submission {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Result<Answer, BrokerError>>,
}

impl Submission {
    /// Sends the answer. The caller may have stopped waiting; what was done stays done.
    pub(crate) fn answer(self, answer: Result<Answer, BrokerError>) {
        let _ = self.reply.send(answer);
    }
}
