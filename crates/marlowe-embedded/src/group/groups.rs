use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, Clock, Entropy, GroupConfig, GroupMetadata};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::member::fenced;
use crate::catalog::Catalog;

/// The first generation by the clock. Folders of before keep none, and what carries one there is older than this unless the
/// clock was set back.
pub(crate) fn generation_by(clock: &dyn Clock) -> u64 {
    clock.now().millis().max(0).unsigned_abs()
}

/// The groups that have, or had, members.
pub(crate) struct Groups {
    entropy: Arc<dyn Entropy>,
    /// The generation that groups begin with.
    first: u64,
    groups: Mutex<BTreeMap<Arc<str>, Coordinator>>,
}

impl Groups {
    /// No groups yet; their generations begin with `first`.
    pub(crate) fn new(entropy: Arc<dyn Entropy>, first: u64) -> Self {
        Self { entropy, first, groups: Mutex::default() }
    }

    /// Has every member ask at once.
    pub(crate) fn wake_all(&self) {
        self.groups.lock().values().for_each(Coordinator::wake_all);
    }

    /// A name for a member that no other has.
    pub(crate) fn introduce(&self, config: &GroupConfig) -> GroupMetadata {
        let name = config.instance.as_deref().unwrap_or("member");
        let member = format!("{name}-{:016x}", self.entropy.next());
        GroupMetadata { group: config.group.clone(), member: member.into(), generation: 0 }
    }

    /// Does something with the group `group`, which is there from then on.
    pub(crate) fn with<T>(&self, group: &Arc<str>, act: impl FnOnce(&mut Coordinator) -> T) -> T {
        act(self.groups.lock().entry(group.clone()).or_insert_with(|| Coordinator::new(self.first)))
    }

    /// That `metadata` names a member of now.
    pub(crate) fn check(&self, metadata: &GroupMetadata, now: Instant, catalog: &Catalog) -> Result<(), BrokerError> {
        match self.groups.lock().get_mut(&metadata.group) {
            Some(group) => group.check(metadata, now, catalog),
            None => Err(fenced(metadata, "the group has no members")),
        }
    }

    /// That a group has no members. What counts its members goes on counting, since one that was expelled may come back.
    pub(crate) fn check_empty(&self, group: &Arc<str>, now: Instant, catalog: &Catalog) -> Result<(), BrokerError> {
        let mut groups = self.groups.lock();
        let Some(known) = groups.get_mut(group) else { return Ok(()) };
        known.expel_overdue(now, catalog);
        match known.members() {
            0 => Ok(()),
            members => Err(BrokerError::GroupNotEmpty { group: group.clone(), members }),
        }
    }

    /// After a topic came or went.
    pub(crate) fn rebalance_all(&self, catalog: &Catalog) {
        self.groups.lock().values_mut().for_each(|group| group.rebalance(catalog));
    }
}
