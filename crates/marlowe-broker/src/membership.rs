//! Consumer groups from the side of a member: how it joins, which events it gets, and how the
//! broker knows it.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;

use crate::{BrokerError, TopicPartition};

/// The settings with which a member joins a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// The group's name.
    pub group: Arc<str>,
    /// The topics whose partitions the group shares out. For Marlowe these are its *anchor* topics,
    /// which hold no records.
    ///
    /// No note can be kept with the position of the first partition of the last topic. A broker
    /// that checks a member by committing something commits it there.
    pub topics: Vec<Arc<str>>,
    /// How long a member may be silent before it is expelled. Default: 45 s, as Kafka's
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// The static member's name (Kafka: `group.instance.id`), or `None` for a member without one. A
    /// static member that leaves and comes back within its session keeps its partitions, and no
    /// partition moves in between.
    pub instance: Option<Arc<str>>,
}

impl GroupConfig {
    /// Returns settings for a member of `group` over `topics`, with the defaults for the rest.
    pub fn new(group: impl Into<Arc<str>>, topics: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().collect(),
            session_timeout: Duration::from_secs(45),
            instance: None,
        }
    }
}

/// A change of what a member owns. Rebalances are cooperative: a partition that no event names
/// stays with its owner, undisturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The member now owns these partitions. Their former owners have acknowledged giving them up,
    /// or are gone.
    Assigned(Vec<TopicPartition>),
    /// These partitions go to another member as soon as [`Membership::acknowledge`] confirms that
    /// their work is committed and closed.
    Revoked(Vec<TopicPartition>),
    /// The member was expelled, and these partitions already belong to others. It must drop their
    /// work and commit nothing.
    Lost(Vec<TopicPartition>),
}

/// The identity of a member, which it sends along when it commits positions. The broker refuses the
/// commit when the identity is out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group's name.
    pub group: Arc<str>,
    /// The member's id, which the broker gave it.
    pub member: Arc<str>,
    /// The newest generation of the group that the member took part in.
    pub generation: u64,
}

/// One member of a consumer group. It learns which partitions it owns, and reads none of them.
///
/// A membership sends heartbeats only while [`next`](Self::next) is awaited. So await it on a task
/// of its own.
pub trait Membership: Send {
    /// Waits for the next change of what the member owns. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the broker cannot be reached, or another member with the same static name has taken
    /// this member's place.
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>>;

    /// Confirms that the work on the revoked `partitions` is committed and closed. They can then go
    /// to their next owner.
    ///
    /// # Errors
    /// When the member was expelled in the meantime. [`next`](Self::next) then returns what it
    /// lost.
    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Returns a source of the member's current identity, which any thread can keep and ask. The
    /// identity changes with each generation, so ask for it at each commit.
    fn metadata(&self) -> Arc<dyn MetadataSource>;

    /// Leaves the group. The member's partitions go to the other members at once. A static member's
    /// partitions stay its own until its session ends, so that a restart moves nothing.
    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>>;
}

/// A source of a member's current [`GroupMetadata`], for any thread.
pub trait MetadataSource: Send + Sync {
    /// Returns the member's identity as of now.
    fn current(&self) -> GroupMetadata;
}
