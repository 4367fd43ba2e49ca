use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, GroupConfig, GroupEvent, GroupMetadata, MetadataSource, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A member as its coordinator has it.
pub(crate) struct Member {
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) session_timeout: Duration,
    /// When it is taken for dead, unless it is heard of before.
    pub(crate) deadline: Instant,
    /// The group's generation when it joined: what names an older one is not this member's.
    pub(crate) joined: u64,
    /// Given to it, not yet told.
    pub(crate) arriving: BTreeSet<TopicPartition>,
    /// Its own, undisturbed.
    pub(crate) owned: BTreeSet<TopicPartition>,
    /// Its own, to be given up, not yet told.
    pub(crate) leaving: BTreeSet<TopicPartition>,
    /// Its own until it acknowledges.
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

    /// What the member has been told it has, and may still be at work on.
    pub(crate) fn told(&self) -> impl Iterator<Item = &TopicPartition> {
        self.owned.iter().chain(&self.leaving).chain(&self.revoked)
    }

    /// What must not be given to another.
    pub(crate) fn holds(&self) -> impl Iterator<Item = &TopicPartition> {
        self.told().chain(&self.arriving)
    }

    /// Takes the next thing the member should be told: what it must give up first, so that others wait no longer than needed.
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

/// What a member knows of itself, shared with whoever commits in its name.
pub(crate) struct Card {
    /// Wakes the member: there is something to tell it.
    pub(crate) news: Notify,
    known: Mutex<Known>,
}

struct Known {
    metadata: GroupMetadata,
    /// How its membership ended, if it did.
    end: Option<End>,
}

/// How a membership ends without the member's doing.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It was not heard of in time; it had these partitions.
    Expelled(Vec<TopicPartition>),
    /// Another has its static instance.
    Replaced(Arc<str>),
}

impl Card {
    pub(crate) fn new(metadata: GroupMetadata) -> Self {
        Self { news: Notify::new(), known: Mutex::new(Known { metadata, end: None }) }
    }

    pub(crate) fn id(&self) -> Arc<str> {
        self.known.lock().metadata.member.clone()
    }

    /// The member took part in this generation.
    pub(crate) fn learn(&self, generation: u64) {
        self.known.lock().metadata.generation = generation;
    }

    /// A new membership in the place of one that ended.
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

/// The refusal of what is done in the name of a member that is none any more.
pub(crate) fn fenced(member: &GroupMetadata, reason: impl Into<String>) -> BrokerError {
    BrokerError::Fenced {
        who: format!("member `{}` of group `{}`, generation {},", member.member, member.group, member.generation),
        reason: reason.into(),
    }
}
