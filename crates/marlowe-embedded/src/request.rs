use std::sync::Arc;

use marlowe_broker::{BrokerError, CommittedOffset, GroupMetadata, Offset, Reads, TopicConfig, TopicPartition};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::epoch::Epoch;
use crate::partition::Partition;

/// Something that has its place in the order of all writes.
pub(crate) enum Request {
    Write(Write),
    CreateTopic(TopicConfig),
    DeleteTopic(Arc<str>),
    /// Deletes what lies before the offsets.
    DeleteRecords(Vec<(TopicPartition, Offset)>),
    /// A group says what it reads.
    DeclareReads {
        group: Arc<str>,
        reads: Vec<Reads>,
    },
    DeleteGroup {
        group: Arc<str>,
        now: Instant,
    },
    /// A new producer with this transactional id: the answer is its epoch.
    Enlist(Arc<str>),
    /// Cleans all there is to clean.
    Clean,
    /// Answered when all that came before is done.
    Barrier,
}

/// Records and positions that become visible together.
pub(crate) struct Write {
    /// The transactional producer that writes.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) appends: Vec<Append>,
    pub(crate) positions: Vec<GroupPositions>,
    /// When the request was made, by the clock of who made it.
    pub(crate) now: Instant,
}

/// Batches that go to the end of a partition.
pub(crate) struct Append {
    pub(crate) partition: Arc<Partition>,
    pub(crate) batches: Vec<Arc<Batch>>,
}

/// Positions of a group, committed in the name of a member or of an administrator.
pub(crate) struct GroupPositions {
    pub(crate) group: Arc<str>,
    pub(crate) member: Option<GroupMetadata>,
    pub(crate) offsets: Vec<(TopicPartition, CommittedOffset)>,
}

/// What a request came to.
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
    /// Answers. Who asked may have stopped waiting; what was done stays done.
    pub(crate) fn answer(self, answer: Result<Answer, BrokerError>) {
        let _ = self.reply.send(answer);
    }
}
