use std::sync::Arc;

use crate::{Offset, Partition, TopicPartition};

/// What a broker refuses or fails at, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No topic of that name.
    #[error("there is no topic `{topic}`: create it, or correct the name")]
    UnknownTopic {
        /// The name asked for.
        topic: Arc<str>,
    },
    /// The topic has fewer partitions.
    #[error("topic `{topic}` has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: Partition,
    },
    /// A topic of that name is there already.
    #[error("topic `{topic}` exists already")]
    TopicExists {
        /// Its name.
        topic: Arc<str>,
    },
    /// A topic that cannot be.
    #[error("topic `{topic}` cannot be created: {reason}")]
    InvalidTopic {
        /// Its name.
        topic: Arc<str>,
        /// Why not.
        reason: String,
    },
    /// The offset to read at is not in the partition any more, or not yet.
    #[error("{partition} has no offset {offset}: it holds {start} up to {end}")]
    OffsetOutOfRange {
        /// Where.
        partition: TopicPartition,
        /// What was asked for.
        offset: Offset,
        /// The first offset there.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
    /// Another took this one's place; what it does is refused.
    #[error("{who} was fenced: {reason}")]
    Fenced {
        /// The producer or member.
        who: String,
        /// By what.
        reason: String,
    },
    /// A record over the limit.
    #[error("a record of {size} bytes for `{topic}` is over the limit of {limit} bytes: raise {setting}, or send less")]
    MessageTooLarge {
        /// The topic.
        topic: Arc<str>,
        /// The record's bytes.
        size: usize,
        /// The limit.
        limit: usize,
        /// What is to be raised.
        setting: &'static str,
    },
    /// Records that their topic does not take, being too large, alone or as a batch.
    #[error(
        "topic `{topic}` takes no batch of records as large as was sent: raise its max.message.bytes; or, where the records \
         are small, have them sent in batches that fit (Kafka's client: batch.size)"
    )]
    TooLargeForTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// A record that its topic never takes, however often it is sent: a timestamp out of the broker's bounds, a record that
    /// the broker finds invalid, a policy that forbids it.
    #[error("topic `{topic}` takes no such record: {reason}")]
    RecordRefused {
        /// The topic.
        topic: Arc<str>,
        /// What the broker said, and what to do where that is known.
        reason: String,
    },
    /// A note beside a group's position that is longer than the broker takes.
    #[error("the note beside the position in {partition} has {size} bytes, over the broker's limit of {limit} bytes")]
    NoteTooLong {
        /// Where the position is.
        partition: TopicPartition,
        /// The note's bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A group that still has members.
    #[error("group `{group}` still has {members} member(s): stop its workers first")]
    GroupNotEmpty {
        /// The group.
        group: Arc<str>,
        /// How many.
        members: usize,
    },
    /// A call out of order, as a commit with no transaction open.
    #[error("{0}")]
    InvalidState(String),
    /// Another process has the folder.
    #[error("folder {folder} is in use by another process{}: stop that one, or give this one another --data-dir", holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    FolderInUse {
        /// The folder.
        folder: String,
        /// The other's process id, when it is known.
        holder: Option<u32>,
    },
    /// A folder does not hold the broker that should be there. Nothing in it was changed.
    #[error("folder {folder} {found}: nothing in it was changed; restore it from a copy, or choose another folder")]
    NotTheBroker {
        /// The folder.
        folder: String,
        /// What was found: "holds no broker".
        found: String,
    },
    /// The disk refused.
    #[error("cannot {action} {path}: {reason}")]
    Storage {
        /// What was tried: "open", "write to".
        action: &'static str,
        /// On what.
        path: String,
        /// What the system said, and the mend where one is known.
        reason: String,
    },
    /// The broker cannot be reached; trying again may help.
    #[error("the broker at {location} is not reachable: {reason}")]
    Unavailable {
        /// Where it should be.
        location: String,
        /// What was seen.
        reason: String,
    },
    /// The broker is there and says no to whoever asks: a wrong password, a missing permission.
    #[error("the broker at {location} refuses: {reason}; correct the user, the password or the permissions")]
    Refused {
        /// Where it is.
        location: String,
        /// What was asked, and what it said.
        reason: String,
    },
    /// Whether the operation took effect is not known.
    #[error("the outcome of {operation} is not known: {reason}")]
    Unknown {
        /// What was asked.
        operation: &'static str,
        /// Why it is not known.
        reason: String,
    },
}

impl BrokerError {
    /// Whether work that failed so is to be dropped and begun anew from what is committed: another took its place, or the
    /// broker was away, or nobody knows what became of it. What is read from the broker afterwards tells.
    pub fn calls_for_a_new_beginning(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Returns whether the broker refuses a record for good, so that sending the same again cannot succeed. The fault is
    /// that of whoever sent the record.
    pub fn refuses_a_record(&self) -> bool {
        matches!(self, Self::MessageTooLarge { .. } | Self::TooLargeForTopic { .. } | Self::RecordRefused { .. })
    }
}
