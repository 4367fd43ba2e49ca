use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;

use crate::{BrokerError, TopicPartition};

/// How to join a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// The group's name.
    pub group: Arc<str>,
    /// The topics whose partitions are shared out. For Marlowe these are its *anchor* topics, which hold no records. Beside
    /// the position of the last one's first partition no note can be kept: a broker that checks a member by committing
    /// something commits it there.
    pub topics: Vec<Arc<str>>,
    /// A member that says nothing for this long is taken for dead. Default 45 s, as Kafka's `session.timeout.ms`.
    pub session_timeout: Duration,
    /// Static membership (`group.instance.id`): a member that leaves and comes back under this name within the
    /// session keeps its partitions, and nothing moves meanwhile.
    pub instance: Option<Arc<str>>,
}

impl GroupConfig {
    /// Group `group` over `topics`, with the defaults.
    pub fn new(group: impl Into<Arc<str>>, topics: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().collect(),
            session_timeout: Duration::from_secs(45),
            instance: None,
        }
    }
}

/// A change of what a member owns. Assignments are cooperative: what neither list names goes on undisturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// These came to this member; whoever had them before has acknowledged giving them up, or is gone.
    Assigned(Vec<TopicPartition>),
    /// These go to another member, as soon as [`Membership::acknowledge`] says that their work is committed and closed.
    Revoked(Vec<TopicPartition>),
    /// These are another's already (this member was taken for dead): drop their work, commit nothing.
    Lost(Vec<TopicPartition>),
}

/// Who a member is, to the broker: sent along with offsets, so that one that is out of date is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group's name.
    pub group: Arc<str>,
    /// The member's id, given by the broker.
    pub member: Arc<str>,
    /// The generation the member last took part in.
    pub generation: u64,
}

/// One member of a consumer group: told which partitions it owns, reading none of them.
///
/// It heartbeats while [`next`](Self::next) is being awaited, so await it on a task of its own.
pub trait Membership: Send {
    /// Waits for the next change. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the broker cannot be reached, or another with the same static instance took this member's place.
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>>;

    /// Says that the revoked `partitions` are committed and closed: they may go to their next owner.
    ///
    /// # Errors
    /// When the member was taken for dead meanwhile; [`next`](Self::next) then tells what was lost.
    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Who this member is now. It changes with each generation: ask for it at each commit. The returned source can be kept
    /// and asked on other threads.
    fn metadata(&self) -> Arc<dyn MetadataSource>;

    /// Leaves the group at once; its partitions go to the others. Those of a static member stay its own until its session
    /// ends: so a restart moves nothing.
    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>>;
}

/// Tells the current [`GroupMetadata`] of a member, from any thread.
pub trait MetadataSource: Send + Sync {
    /// The metadata as of now.
    fn current(&self) -> GroupMetadata;
}
