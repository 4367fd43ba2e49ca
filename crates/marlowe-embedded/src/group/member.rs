//! A member as its coordinator knows it, and the identity that it shares with those who commit in
//! its name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, GroupConfig, GroupEvent, GroupMetadata, MetadataSource, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A member as its coordinator knows it.
pub(crate) struct Member {
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) session_timeout: Duration,
    /// The time at which the member is expelled, unless it asks before.
    pub(crate) deadline: Instant,
    /// The group's generation when the member joined. An identity with an older generation is not
    /// this member's.
    pub(crate) joined: u64,
    /// Partitions that were given to the member, which has not been told yet.
    pub(crate) arriving: BTreeSet<TopicPartition>,
    /// Partitions that the member owns and keeps.
    pub(crate) owned: BTreeSet<TopicPartition>,
    /// Partitions that the member owns and has to give up. It has not been told yet.
    pub(crate) leaving: BTreeSet<TopicPartition>,
    /// Partitions that the member was told to give up. They are its own until it acknowledges.
    pub(crate) revoked: BTreeSet<TopicPartition>,
    pub(crate) card: Arc<Card>,
}

impl Member {
    pub(crate) fn new(config: &GroupConfig, card: Arc<Card>, joined: u64, now: Instant) -> Self {
        Self {
            topics: config.topics.iter().cloned().collect(),
            instance: config.instance.clone(),
            session_timeout: config.session_timeout,
            deadline: now + config.session_timeout,
            joined,
            arriving: BTreeSet::new(),
            owned: BTreeSet::new(),
            leaving: BTreeSet::new(),
            revoked: BTreeSet::new(),
            card,
        }
    }

    /// Returns the partitions that the member was told it owns. It may still be working on them.
    pub(crate) fn told(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.iter().chain(&self.leaving).chain(&self.revoked)
    }

    /// Returns the partitions that must not be given to another member.
    pub(crate) fn holds(&self) -> impl Iterator<Item = &TopicPartition> {
        self.told().chain(&self.arriving)
    }

    /// Takes the next event for the member. What it has to give up comes first, so that others wait
    /// no longer than needed.
    pub(crate) fn tell(&mut self) -> Option<GroupEvent> {
        if !self.leaving.is_empty() {
            let leaving = std::mem::take(&mut self.leaving);
            self.revoked.extend(leaving.iter().cloned());
            return Some(GroupEvent::Revoked(leaving.into_iter().collect()));
        }
        if !self.arriving.is_empty() {
            let arriving = std::mem::take(&mut self.arriving);
            self.owned.extend(arriving.iter().cloned());
            return Some(GroupEvent::Assigned(arriving.into_iter().collect()));
        }
        None
    }
}

/// The identity of a member, shared with everyone who commits in its name.
pub(crate) struct Card {
    /// Wakes the member when there is something to tell it.
    pub(crate) news: Notify,
    known: Mutex<Known>,
}

struct Known {
    metadata: GroupMetadata,
    /// How the membership ended, or `None` while it lasts.
    end: Option<End>,
}

/// The end of a membership that the member did not end itself.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The session ended. The member had these partitions.
    Expelled(Vec<TopicPartition>),
    /// Another member has joined as this static instance.
    Replaced(Arc<str>),
}

impl Card {
    pub(crate) fn new(metadata: GroupMetadata) -> Self {
        Self { news: Notify::new(), known: Mutex::new(Known { metadata, end: None }) }
    }

    pub(crate) fn id(&self) -> Arc<str> {
        self.known.lock().metadata.member.clone()
    }

    /// Notes that the member took part in `generation`.
    pub(crate) fn learn(&self, generation: u64) {
        self.known.lock().metadata.generation = generation;
    }

    /// Replaces an ended membership with a new one.
    pub(crate) fn renew(&self, metadata: GroupMetadata) {
        *self.known.lock() = Known { metadata, end: None };
    }

    pub(crate) fn close(&self, end: End) {
        self.known.lock().end = Some(end);
        self.news.notify_one();
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.known.lock().end.clone()
    }
}

impl MetadataSource for Card {
    fn current(&self) -> GroupMetadata {
        self.known.lock().metadata.clone()
    }
}

/// Returns the error for an action under an identity that is out of date.
pub(crate) fn fenced(member: &GroupMetadata, reason: impl Into<String>) -> BrokerError {
    BrokerError::Fenced {
        who: format!("member `{}` of group `{}`, generation {},", member.member, member.group, member.generation),
        reason: reason.into(),
    }
}
