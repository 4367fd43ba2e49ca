//! The error type of all broker operations. Each message says what happened, where, and what to do.

use std::sync::Arc;

use crate::{Offset, Partition, TopicPartition};

/// An error of a broker operation. Its message also says what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// There is no topic of that name.
    #[error("there is no topic `{topic}`: create it, or correct the name")]
    UnknownTopic {
        /// The name asked for.
        topic: Arc<str>,
    },
    /// The topic exists, but has fewer partitions.
    #[error("topic `{topic}` has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The number of the partition asked for, from 0.
        partition: Partition,
    },
    /// A topic of that name already exists.
    #[error("topic `{topic}` exists already")]
    TopicExists {
        /// The topic's name.
        topic: Arc<str>,
    },
    /// The broker does not accept the topic's name or its number of partitions.
    #[error("topic `{topic}` cannot be created: {reason}")]
    InvalidTopic {
        /// The topic's name.
        topic: Arc<str>,
        /// The reason, for people to read.
        reason: String,
    },
    /// The offset was removed from the partition, or does not exist yet.
    #[error("{partition} has no offset {offset}: it holds the offsets from {start} up to {end}")]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset asked for.
        offset: Offset,
        /// The partition's first offset.
        start: Offset,
        /// The offset after the partition's last record or marker.
        end: Offset,
    },
    /// A newer producer or member has taken the place of this one, or its membership is over. The
    /// broker refuses what it does.
    #[error("{who} was fenced: {reason}")]
    Fenced {
        /// The producer or member that was fenced.
        who: String,
        /// The reason, for people to read.
        reason: String,
    },
    /// The record is larger than the broker's producers accept.
    #[error("a record of {size} bytes for `{topic}` is over the limit of {limit} bytes: raise {setting}, or send less")]
    MessageTooLarge {
        /// The topic that the record was sent to.
        topic: Arc<str>,
        /// The size of the record, in bytes.
        size: usize,
        /// The largest size accepted, in bytes.
        limit: usize,
        /// The setting to raise.
        setting: &'static str,
    },
    /// The topic does not accept a record or a batch of this size.
    #[error(
        "topic `{topic}` refuses a batch of records because it is too large: raise the topic's max.message.bytes; or, \
         if the records are small, send smaller batches (the Kafka client's setting batch.size)"
    )]
    TooLargeForTopic {
        /// The topic that the records were sent to.
        topic: Arc<str>,
    },
    /// The topic never accepts this record, however often it is sent. Its timestamp is out of the
    /// broker's bounds, the broker finds it invalid, or a policy forbids it.
    #[error("topic `{topic}` refuses the record: {reason}")]
    RecordRefused {
        /// The topic that the record was sent to.
        topic: Arc<str>,
        /// The broker's answer, and what to do where that is known.
        reason: String,
    },
    /// The note of a committed position is longer than the broker accepts.
    #[error(
        "the note of the position in {partition} has {size} bytes, over the broker's limit of {limit} bytes: use a \
         shorter note"
    )]
    NoteTooLong {
        /// The partition of the position.
        partition: TopicPartition,
        /// The size of the note, in bytes.
        size: usize,
        /// The largest size accepted, in bytes.
        limit: usize,
    },
    /// The group still has members.
    #[error("group `{group}` still has {members} member(s): stop its workers first")]
    GroupNotEmpty {
        /// The group.
        group: Arc<str>,
        /// The number of members.
        members: usize,
    },
    /// A call came out of order, such as a commit without an open transaction.
    #[error("{0}")]
    InvalidState(String),
    /// The folder is already open, usually in another process.
    #[error("folder {folder} is in use by another process{}: stop that one, or give this one another --data-dir", holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    FolderInUse {
        /// The folder.
        folder: String,
        /// The id of the process that has it open, where it is known.
        holder: Option<u32>,
    },
    /// The folder does not hold the expected broker. Nothing in it was changed.
    #[error("folder {folder} {found}: nothing in it was changed; restore it from a copy, or choose another folder")]
    NotTheBroker {
        /// The folder.
        folder: String,
        /// A description of what was found, such as "holds no broker".
        found: String,
    },
    /// The file system or the disk refused an operation.
    #[error("cannot {action} {path}: {reason}")]
    Storage {
        /// The operation, such as "open" or "write to".
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The system's message, and how to fix it where that is known.
        reason: String,
    },
    /// The broker cannot be reached. Trying again may help.
    #[error("the broker at {location} is not reachable: {reason}")]
    Unavailable {
        /// The broker's location.
        location: String,
        /// The reason, for people to read.
        reason: String,
    },
    /// The broker can be reached and refuses this client: a wrong password, a missing permission.
    #[error("the broker at {location} refuses: {reason}; correct the user, the password or the permissions")]
    Refused {
        /// The broker's location.
        location: String,
        /// The request, and the broker's answer.
        reason: String,
    },
    /// It is not known whether the operation took effect.
    #[error("the outcome of {operation} is not known: {reason}")]
    Unknown {
        /// The operation.
        operation: &'static str,
        /// Why it is not known.
        reason: String,
    },
}

impl BrokerError {
    /// Returns whether the caller must drop its uncommitted work and start again from what is
    /// committed. This is so when another took the caller's place, when the broker was unreachable,
    /// and when the outcome is not known. Reading the committed state then tells what was kept.
    pub fn calls_for_a_new_beginning(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Returns whether the broker refuses a record for good, so that sending it again cannot
    /// succeed. The fault lies with the sender of the record.
    pub fn refuses_a_record(&self) -> bool {
        matches!(self, Self::MessageTooLarge { .. } | Self::TooLargeForTopic { .. } | Self::RecordRefused { .. })
    }
}
