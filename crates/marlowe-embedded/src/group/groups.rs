//! All groups of the broker, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, Clock, Entropy, GroupConfig, GroupMetadata};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::member::fenced;
use crate::catalog::Catalog;

/// Returns the first generation by the clock: the milliseconds since the epoch.
///
/// Folders of earlier versions do not store a generation. The generations that were used there are
/// lower than this one, unless the clock was set back.
pub(crate) fn generation_by(clock: &dyn Clock) -> u64 {
    clock.now().millis().max(0).unsigned_abs()
}

/// The groups that have or had members.
pub(crate) struct Groups {
    entropy: Arc<dyn Entropy>,
    /// The first generation of each group.
    first: u64,
    groups: Mutex<BTreeMap<Arc<str>, Coordinator>>,
}

impl Groups {
    /// Creates an empty set of groups, whose generations begin with `first`.
    pub(crate) fn new(entropy: Arc<dyn Entropy>, first: u64) -> Self {
        Self { entropy, first, groups: Mutex::default() }
    }

    /// Wakes every member, so that it asks for events at once.
    pub(crate) fn wake_all(&self) {
        self.groups.lock().values().for_each(Coordinator::wake_all);
    }

    /// Returns the identity of a new member, with an id that no other member has.
    pub(crate) fn introduce(&self, config: &GroupConfig) -> GroupMetadata {
        let name = config.instance.as_deref().unwrap_or("member");
        let member = format!("{name}-{:016x}", self.entropy.next());
        GroupMetadata { group: config.group.clone(), member: member.into(), generation: 0 }
    }

    /// Calls `act` with the group `group`, which is created if it does not exist.
    pub(crate) fn with<T>(&self, group: &Arc<str>, act: impl FnOnce(&mut Coordinator) -> T) -> T {
        act(self.groups.lock().entry(group.clone()).or_insert_with(|| Coordinator::new(self.first)))
    }

    /// Checks that `metadata` names a current member.
    pub(crate) fn check(&self, metadata: &GroupMetadata, now: Instant, catalog: &Catalog) -> Result<(), BrokerError> {
        match self.groups.lock().get_mut(&metadata.group) {
            Some(group) => group.check(metadata, now, catalog),
            None => Err(fenced(metadata, "the group has no members")),
        }
    }

    /// Checks that a group has no members. Its coordinator stays and its numbers continue, because
    /// an expelled member may come back.
    pub(crate) fn check_empty(&self, group: &Arc<str>, now: Instant, catalog: &Catalog) -> Result<(), BrokerError> {
        let mut groups = self.groups.lock();
        let Some(known) = groups.get_mut(group) else { return Ok(()) };
        known.expel_overdue(now, catalog);
        match known.members() {
            0 => Ok(()),
            members => Err(BrokerError::GroupNotEmpty { group: group.clone(), members }),
        }
    }

    /// Rebalances all groups, after a topic was created or deleted.
    pub(crate) fn rebalance_all(&self, catalog: &Catalog) {
        self.groups.lock().values_mut().for_each(|group| group.rebalance(catalog));
    }
}
