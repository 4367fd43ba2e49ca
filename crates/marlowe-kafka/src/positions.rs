//! The positions that a transaction commits.

use std::time::Duration;

use marlowe_broker::{BrokerError, GroupMetadata};

use crate::cluster::Cluster;
use crate::native::{Identity, Place};
use crate::writer::Wanted;

/// How often, and how many times, it is looked whether a member has learnt of its new generation.
const LEARN_EVERY: Duration = Duration::from_millis(10);
const LEARN_TRIES: u32 = 300;

/// Positions of a group, and in whose name they are committed.
pub(crate) struct Positions {
    pub(crate) places: Vec<Place>,
    pub(crate) of: GroupMetadata,
}

impl Positions {
    /// Returns the group, and places whose positions a commit changes.
    pub(crate) fn touched(&self, cluster: &Cluster) -> (String, Vec<Place>) {
        let places = match cluster.members.find(&self.of) {
            Some(known) if self.places.is_empty() => known.nothing(),
            _ => self.places.clone(),
        };
        (self.of.group.to_string(), places)
    }

    /// Returns whether the member is one still, in a newer generation than `before`. It learns of
    /// that a moment after its group.
    pub(crate) fn has_moved_on(&self, cluster: &Cluster, before: &Identity, wanted: &Wanted) -> bool {
        for _ in 0..LEARN_TRIES {
            let Some(known) = cluster.members.find(&self.of).filter(|known| known.may_commit_as(&self.of)) else {
                return false;
            };
            if !wanted.is_wanted() {
                return false;
            }
            if known.identity().is_some_and(|now| now.generation > before.generation) {
                return true;
            }
            std::thread::park_timeout(LEARN_EVERY);
        }
        false
    }

    /// Returns the positions, and in whose name they are committed: the member's as it is now, if it
    /// is this process's and still the one that began.
    pub(crate) fn resolve(&self, cluster: &Cluster) -> Result<(Vec<Place>, Identity), BrokerError> {
        let GroupMetadata { group, member, generation } = &self.of;
        let over = || BrokerError::Fenced {
            who: format!("member `{member}` of group `{group}`"),
            reason: "it is no member any more".into(),
        };
        // Kafka lets those who are nobody commit what they like.
        if member.is_empty() {
            return Err(over());
        }
        let known = cluster.members.find(&self.of);
        let now = known.as_ref().filter(|known| known.may_commit_as(&self.of)).and_then(|known| known.identity());
        let identity = now.unwrap_or_else(|| Identity {
            group: group.to_string(),
            member: member.to_string(),
            generation: i32::try_from(*generation).unwrap_or(i32::MAX),
            instance: known.as_ref().and_then(|known| known.identity()).and_then(|identity| identity.instance),
        });
        let places = match &known {
            Some(known) if self.places.is_empty() => known.nothing(),
            None if self.places.is_empty() => return Err(over()),
            _ => self.places.clone(),
        };
        Ok((places, identity))
    }
}
