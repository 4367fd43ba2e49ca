//! The members of groups that this process has: who each of them is now, and whether it has lost
//! its partitions.
//!
//! # Missed rebalances
//! A member without a static name that misses a rebalance is expelled. From then on, the
//! coordinator refuses commits with its member id.
//!
//! A static member that misses a rebalance keeps its member id (KIP-345). The rebalance goes on
//! without it, and may give its partitions to others, but the client does not hear of that. So
//! [`Member`] watches the generations of its client. If one is missing between two of them, the
//! member was passed over, and that counts as a loss.

use std::sync::{Arc, Weak};

use marlowe_broker::{GroupMetadata, MetadataSource};
use parking_lot::Mutex;

use crate::native::{Client, Identity, Place};

/// The group members of this process.
#[derive(Default)]
pub(crate) struct Members(Mutex<Vec<Weak<Member>>>);

impl Members {
    pub(crate) fn add(&self, member: &Arc<Member>) {
        let mut members = self.0.lock();
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    /// Returns whether the member that `metadata` names was expelled or passed over. What is not
    /// committed in its name by then never will be.
    pub(crate) fn is_over(&self, metadata: &GroupMetadata) -> bool {
        let members = self.0.lock();
        members.iter().filter_map(Weak::upgrade).any(|member| {
            member.group == metadata.group && member.standing.lock().over.as_deref() == Some(&*metadata.member)
        })
    }

    /// Returns the member that `metadata` names, whatever its generation.
    pub(crate) fn find(&self, metadata: &GroupMetadata) -> Option<Arc<Member>> {
        let members: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        members.into_iter().find(|member| {
            member.group == metadata.group
                && member.identity().is_some_and(|identity| *identity.member == *metadata.member)
        })
    }
}

/// One member of a group, and its current identity.
///
/// The group's generation may change between the start of a commit and its arrival at the
/// coordinator. What the member still owns is its own in the new generation too, because nothing is
/// taken from it before it acknowledges. So the commit is made in the new generation.
///
/// An expelled member gets another member id, or none, so its commits are refused. A member that
/// was passed over keeps its member id. It learns of that from its generations, because one of them
/// is missing.
pub(crate) struct Member {
    group: Arc<str>,
    /// The topics that it subscribes to.
    topics: Vec<Arc<str>>,
    lateness: MissedRebalance,
    standing: Mutex<MemberState>,
}

/// The fate of a member that does not join a new generation in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissedRebalance {
    /// It is expelled, and is no longer a member.
    Ends,
    /// It stays a member, because it is a static member (KIP-345), and the rebalance goes on
    /// without it. The group knows only what the member said when it last joined, so its partitions
    /// may be given to others.
    IsPassedOver,
}

#[derive(Default)]
struct MemberState {
    client: Weak<Client>,
    /// It was expelled or passed over, and has not joined again.
    is_lost: bool,
    last: Option<Identity>,
    /// Its current client has joined, so `last` is an identity of that client.
    has_joined: bool,
    /// The member id that it had when it was last expelled or passed over.
    over: Option<String>,
}

impl MemberState {
    /// Records the identity that the client reports, and returns it. Returns `None` if the client
    /// has lost what the member had: it has another member id, or was not in each generation.
    fn see(&mut self, identity: Identity, lateness: MissedRebalance) -> Option<Identity> {
        if self.has_joined
            && let Some(last) = &self.last
        {
            let was_passed_over =
                lateness == MissedRebalance::IsPassedOver && identity.generation > last.generation + 1;
            self.is_lost |= last.member != identity.member || was_passed_over;
        }
        if self.is_lost {
            return None;
        }
        self.has_joined = true;
        self.last = Some(identity.clone());
        Some(identity)
    }
}

impl Member {
    pub(crate) fn new(group: Arc<str>, topics: Vec<Arc<str>>, lateness: MissedRebalance) -> Self {
        Self { group, topics, lateness, standing: Mutex::default() }
    }

    /// Sets the client through which it is, or will be, a member.
    pub(crate) fn is(&self, client: &Arc<Client>) {
        let mut standing = self.standing.lock();
        (standing.client, standing.is_lost, standing.has_joined) = (Arc::downgrade(client), false, false);
    }

    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.standing.lock().client.upgrade()
    }

    /// Returns the current identity, or `None` while it is no member.
    ///
    /// A client may learn too late that it was expelled, because it had partitions to give up at
    /// that moment. It then joins again by itself, under another member id and with all partitions
    /// that it believes to own. Here, this is a loss.
    ///
    /// It is also a loss if the group went on for a generation without the client. In that
    /// generation its partitions could be given to others, and the client does not hear of it.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let identity = self.client()?.identity()?;
        if identity.generation < 0 || identity.member.is_empty() {
            return None;
        }
        self.standing.lock().see(identity, self.lateness)
    }

    /// Returns whether a commit that began in the name of `metadata` may be made with the current
    /// identity.
    pub(crate) fn may_commit_as(&self, metadata: &GroupMetadata) -> bool {
        self.identity().is_some_and(|now| {
            *now.member == *metadata.member && i64::from(now.generation) >= metadata.generation as i64
        })
    }

    /// Returns whether it was expelled or passed over, or has another member id than before.
    pub(crate) fn is_lost(&self) -> bool {
        self.identity().is_none() && self.standing.lock().is_lost
    }

    pub(crate) fn lost(&self) {
        let mut standing = self.standing.lock();
        standing.is_lost = true;
        standing.over = standing.last.as_ref().map(|last| last.member.clone());
    }

    /// Returns a position without meaning, in a topic that holds no records. Committing it checks
    /// the member. It is in the last of the member's topics, because no notes are kept with the
    /// positions of that topic.
    pub(crate) fn nothing(&self) -> Vec<Place> {
        self.topics.last().map(|topic| Place::new(topic, 0, 0)).into_iter().collect()
    }
}

impl MetadataSource for Member {
    fn current(&self) -> GroupMetadata {
        // If it is no longer a member, this is its last identity, which the group refuses.
        let identity = self.identity().or_else(|| self.standing.lock().last.clone());
        match identity {
            Some(identity) => GroupMetadata {
                group: self.group.clone(),
                member: identity.member.into(),
                generation: u64::try_from(identity.generation).unwrap_or(0),
            },
            None => GroupMetadata { group: self.group.clone(), member: "".into(), generation: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(member: &str, generation: i32) -> Identity {
        Identity { group: "group".into(), member: member.into(), generation, instance: None }
    }

    /// Returns the generations in which a member knows itself to be one, if it was in the first.
    fn seen(generations: &[i32], lateness: MissedRebalance) -> Vec<i32> {
        let mut standing = MemberState::default();
        let seen = generations.iter().filter_map(|generation| standing.see(identity("one", *generation), lateness));
        seen.map(|identity| identity.generation).collect()
    }

    #[test]
    fn a_member_that_was_passed_over_is_none_until_it_joins_again() {
        assert_eq!(seen(&[7, 7, 8, 9, 9], MissedRebalance::IsPassedOver), [7, 7, 8, 9, 9]);
        assert_eq!(seen(&[7, 9, 10], MissedRebalance::IsPassedOver), [7]);
        // If the group expels such members, a gap only means that the member was not looked at
        // often enough.
        assert_eq!(seen(&[7, 9, 10], MissedRebalance::Ends), [7, 9, 10]);
    }

    #[test]
    fn one_that_came_back_under_another_name_is_another() {
        for lateness in [MissedRebalance::Ends, MissedRebalance::IsPassedOver] {
            let mut standing = MemberState::default();
            assert!(standing.see(identity("one", 3), lateness).is_some());
            assert!(standing.see(identity("two", 4), lateness).is_none());
            assert!(standing.see(identity("one", 4), lateness).is_none(), "what is lost stays lost");
        }
    }
}
