//! The positions of a group that a transaction commits, and the identity that commits them.

use std::time::Duration;

use marlowe_broker::{BrokerError, GroupMetadata};

use crate::cluster::Cluster;
use crate::native::{Identity, Place};
use crate::writer::Wanted;

/// The interval at which a member is asked whether it has learned of its new generation.
const LEARN_EVERY: Duration = Duration::from_millis(10);
/// The number of times that it is asked.
const LEARN_TRIES: u32 = 300;

/// Positions of a group, and the member in whose name they are committed.
pub(crate) struct Positions {
    pub(crate) places: Vec<Place>,
    pub(crate) of: GroupMetadata,
}

impl Positions {
    /// Returns the group, and the places whose positions the commit changes.
    pub(crate) fn touched(&self, cluster: &Cluster) -> (String, Vec<Place>) {
        let places = match cluster.members.find(&self.of) {
            Some(known) if self.places.is_empty() => known.nothing(),
            _ => self.places.clone(),
        };
        (self.of.group.to_string(), places)
    }

    /// Returns whether the member is still one, in a newer generation than `before`. Blocks for at
    /// most 3 s, because the member learns of the new generation a moment after its group.
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

    /// Returns the positions and the identity to commit them with. That is the member's current
    /// identity, if the member belongs to this process and is still the one that the commit began
    /// with.
    pub(crate) fn resolve(&self, cluster: &Cluster) -> Result<(Vec<Place>, Identity), BrokerError> {
        let GroupMetadata { group, member, generation } = &self.of;
        let over = || BrokerError::Fenced {
            who: format!("member `{member}` of group `{group}`"),
            reason: "it is not a member any more".into(),
        };
        // Kafka lets a client that is no member commit whatever it likes, so this is checked here.
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
