use std::sync::{Arc, Weak};

use marlowe_broker::{GroupMetadata, MetadataSource};
use parking_lot::Mutex;

use crate::native::{Client, Identity, Place};

/// The members of groups that this process has.
#[derive(Default)]
pub(crate) struct Members(Mutex<Vec<Weak<Member>>>);

impl Members {
    pub(crate) fn add(&self, member: &Arc<Member>) {
        let mut members = self.0.lock();
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    /// Whether the group took the member that `metadata` is of for dead: what is not committed in its name never will be.
    pub(crate) fn is_over(&self, metadata: &GroupMetadata) -> bool {
        let members = self.0.lock();
        members.iter().filter_map(Weak::upgrade).any(|member| {
            member.group == metadata.group && member.standing.lock().over.as_deref() == Some(&*metadata.member)
        })
    }

    /// The member that `metadata` is of, whatever its generation.
    pub(crate) fn find(&self, metadata: &GroupMetadata) -> Option<Arc<Member>> {
        let members: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        members.into_iter().find(|member| {
            member.group == metadata.group
                && member.identity().is_some_and(|identity| *identity.member == *metadata.member)
        })
    }
}

/// One member of a group: who it is now.
///
/// A generation may pass between the moment when a commit begins and when it reaches the group. What the member still
/// owns is its own in the new generation too, for nothing is taken from it before it acknowledges; so the commit is made
/// in the new one. A member that was taken for dead has another name afterwards, or is none: its commits are refused. One that
/// was passed over has its name still; it knows by the generations, of which it never was in one.
pub(crate) struct Member {
    group: Arc<str>,
    /// What it subscribes to.
    topics: Vec<Arc<str>>,
    lateness: MissedRebalance,
    standing: Mutex<MemberState>,
}

/// What becomes of a member that does not join a new generation in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissedRebalance {
    /// It is taken for dead, and is a member no more.
    Ends,
    /// It stays a member, for its name lasts (KIP-345), and others may be given what it has: the group knows only what it said
    /// when it joined the last time.
    IsPassedOver,
}

#[derive(Default)]
struct MemberState {
    client: Weak<Client>,
    /// It was taken for dead, and has not joined again.
    is_lost: bool,
    last: Option<Identity>,
    /// Its client has joined: it has the name of the last one.
    has_joined: bool,
    /// The name that was its own when it was taken for dead the last time.
    over: Option<String>,
}

impl MemberState {
    /// Takes note of who its client says that it is, unless that one has lost what this one had: it has another name, or was not
    /// in each generation.
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

    /// Says by which client it is a member, or will be.
    pub(crate) fn is(&self, client: &Arc<Client>) {
        let mut standing = self.standing.lock();
        (standing.client, standing.is_lost, standing.has_joined) = (Arc::downgrade(client), false, false);
    }

    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.standing.lock().client.upgrade()
    }

    /// Who it is, while it is a member.
    ///
    /// A client that hears too late that it was taken for dead, for it had something to give up just then, joins again by itself:
    /// under another name, and with all that it believes to own. For this one that is a loss. So it is when the group went on
    /// without it for a generation: in that one others could be given what it had, and it does not hear of that.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let identity = self.client()?.identity()?;
        if identity.generation < 0 || identity.member.is_empty() {
            return None;
        }
        self.standing.lock().see(identity, self.lateness)
    }

    /// Whether what began in the name of `metadata` may be committed in its name as it is now.
    pub(crate) fn may_commit_as(&self, metadata: &GroupMetadata) -> bool {
        self.identity().is_some_and(|now| {
            *now.member == *metadata.member && i64::from(now.generation) >= metadata.generation as i64
        })
    }

    /// Whether it was taken for dead or passed over, or is another member than it was.
    pub(crate) fn is_lost(&self) -> bool {
        self.identity().is_none() && self.standing.lock().is_lost
    }

    pub(crate) fn lost(&self) {
        let mut standing = self.standing.lock();
        standing.is_lost = true;
        standing.over = standing.last.as_ref().map(|last| last.member.clone());
    }

    /// A position that says nothing, in a topic that holds no records: committing it checks the member. It is in the last of
    /// the member's topics, whose positions no notes are kept beside.
    pub(crate) fn nothing(&self) -> Vec<Place> {
        self.topics.last().map(|topic| Place::new(topic, 0, 0)).into_iter().collect()
    }
}

impl MetadataSource for Member {
    fn current(&self) -> GroupMetadata {
        // One that is no member any more is told as it was: the group refuses it.
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

    /// The generations in which a member that was in the first knows itself to be one.
    fn seen(generations: &[i32], lateness: MissedRebalance) -> Vec<i32> {
        let mut standing = MemberState::default();
        let seen = generations.iter().filter_map(|generation| standing.see(identity("one", *generation), lateness));
        seen.map(|identity| identity.generation).collect()
    }

    #[test]
    fn one_that_was_passed_over_is_no_member_any_more_until_it_joins_anew() {
        assert_eq!(seen(&[7, 7, 8, 9, 9], MissedRebalance::IsPassedOver), [7, 7, 8, 9, 9]);
        assert_eq!(seen(&[7, 9, 10], MissedRebalance::IsPassedOver), [7]);
        // Of one that the group takes for dead instead, it was not looked at often enough.
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
