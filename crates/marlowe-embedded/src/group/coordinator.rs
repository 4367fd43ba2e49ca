//! The coordinator of one group: sessions, generations and rebalances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use marlowe_broker::{BrokerError, GroupConfig, GroupEvent, GroupMetadata, Partition, TopicPartition};
use tokio::time::Instant;

use super::assignment::{Topics, assign};
use super::member::{Card, End, Member, fenced};
use crate::catalog::Catalog;

/// One group: its members, and which member owns which partition.
///
/// # Rebalances
/// A partition that has to move goes from its owner's `owned` to `leaving` while the owner has not
/// been told, and to `revoked` when it has been told. It arrives at another member only after its
/// owner has acknowledged or is gone. So no two members ever hold one partition.
///
/// # Fencing
/// The generation counts the changes of the group. A member learns it with each event, and names it
/// when it commits. A commit is good if its generation is not older than the member's membership
/// and not newer than the group's. So a healthy member is never refused because of a rebalance in
/// which it had no part. An expelled member that comes back is a new member with a new id. So
/// commits under its old id are refused.
#[derive(Default)]
pub(crate) struct Coordinator {
    /// The members, by number. A member's number is higher than those of all members that joined
    /// earlier.
    members: BTreeMap<u64, Member>,
    joins: u64,
    generation: u64,
    /// The number of the last member that joined as each static instance.
    instances: BTreeMap<Arc<str>, u64>,
}

impl Coordinator {
    /// Creates a group without members, at `generation`.
    pub(crate) fn new(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// Wakes every member, so that it asks for events at once.
    pub(crate) fn wake_all(&self) {
        self.members.values().for_each(|member| member.card.news.notify_one());
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Adds a member whose card already has its id, and returns the member's number.
    pub(crate) fn join(&mut self, config: &GroupConfig, card: Arc<Card>, now: Instant, catalog: &Catalog) -> u64 {
        self.expel_overdue(now, catalog);
        self.generation += 1;
        card.learn(self.generation);
        let number = self.joins;
        self.joins += 1;
        let mut member = Member::new(config, card, self.generation, now);
        if let Some(instance) = &config.instance {
            self.instances.insert(instance.clone(), number);
            let same = |(_, other): &(&u64, &Member)| other.instance.as_ref() == Some(instance);
            if let Some(former) = self.members.iter().find(same).map(|(number, _)| *number)
                && let Some(former) = self.members.remove(&former)
            {
                // What the former member was giving up is free at once, because nothing can be
                // committed under its id any more.
                member.arriving = former.owned.iter().chain(&former.arriving).cloned().collect();
                former.card.close(End::Replaced(instance.clone()));
            }
        }
        self.members.insert(number, member);
        self.rebalance(catalog);
        number
    }

    /// Notes that the member is alive, and returns its next event, if there is one.
    pub(crate) fn hear(&mut self, number: u64, now: Instant, catalog: &Catalog) -> Option<GroupEvent> {
        self.expel_overdue(now, catalog);
        let generation = self.generation;
        let member = self.members.get_mut(&number)?;
        member.deadline = now + member.session_timeout;
        let event = member.tell()?;
        member.card.learn(generation);
        Some(event)
    }

    /// Frees the partitions that a member gave up. Returns `None` if the member is gone.
    pub(crate) fn acknowledge(
        &mut self,
        number: u64,
        places: &[TopicPartition],
        now: Instant,
        catalog: &Catalog,
    ) -> Option<()> {
        self.expel_overdue(now, catalog);
        let member = self.members.get_mut(&number)?;
        member.deadline = now + member.session_timeout;
        let before = member.revoked.len();
        places.iter().for_each(|place| {
            member.revoked.remove(place);
        });
        if member.revoked.len() < before {
            self.generation += 1;
            member.card.learn(self.generation);
            self.rebalance(catalog);
        }
        Some(())
    }

    /// Returns whether another member has joined as `instance` since the member `number`.
    pub(crate) fn is_replaced(&self, number: u64, instance: &str) -> bool {
        self.instances.get(instance).is_some_and(|latest| *latest != number)
    }

    pub(crate) fn leave(&mut self, number: u64, catalog: &Catalog) {
        if self.members.remove(&number).is_some() {
            self.generation += 1;
            self.rebalance(catalog);
        }
    }

    /// Returns the time at which the first session ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.members.values().map(|member| member.deadline).min()
    }

    /// Checks that `metadata` names a current member, and a generation that is good for it.
    pub(crate) fn check(
        &mut self,
        metadata: &GroupMetadata,
        now: Instant,
        catalog: &Catalog,
    ) -> Result<(), BrokerError> {
        self.expel_overdue(now, catalog);
        let member = self.members.values().find(|member| member.card.id() == metadata.member);
        let Some(member) = member else {
            return Err(fenced(metadata, "it is not a member any more: it left, or its session expired"));
        };
        if metadata.generation < member.joined || metadata.generation > self.generation {
            return Err(fenced(metadata, format!("the group's generation is now {}", self.generation)));
        }
        Ok(())
    }

    pub(crate) fn expel_overdue(&mut self, now: Instant, catalog: &Catalog) {
        let overdue: Vec<u64> =
            self.members.iter().filter(|(_, member)| member.deadline <= now).map(|(number, _)| *number).collect();
        for number in &overdue {
            if let Some(member) = self.members.remove(number) {
                let lost: BTreeSet<TopicPartition> = member.told().cloned().collect();
                member.card.close(End::Expelled(lost.into_iter().collect()));
            }
        }
        if !overdue.is_empty() {
            self.generation += 1;
            self.rebalance(catalog);
        }
    }

    /// Moves towards balance without disturbing anyone: marks surplus partitions of members as
    /// leaving, and gives out partitions that nobody holds.
    pub(crate) fn rebalance(&mut self, catalog: &Catalog) {
        let topics: Topics = self
            .members
            .values()
            .flat_map(|member| &member.topics)
            .filter_map(|name| Some((name.clone(), catalog.find(name)?.description.partitions)))
            .collect();
        let numbers: Vec<u64> = self.members.keys().copied().collect();
        let subscriptions: Vec<_> = self.members.values().map(|member| &member.topics).collect();
        let mut owners = BTreeMap::new();
        for (index, member) in self.members.values().enumerate() {
            // A partition that is leaving can still stay, because its owner has not been told.
            let stable = member.owned.iter().chain(&member.arriving).chain(&member.leaving);
            owners.extend(stable.map(|place| (place.clone(), index)));
        }
        let target = assign(&topics, &subscriptions, &owners);
        let mut moved = false;
        for (index, member) in self.members.values_mut().enumerate() {
            moved |= settle(member, |place| target.get(place) == Some(&index));
        }
        moved |= self.hand_out(&topics, &target, &numbers);
        if moved {
            self.generation += 1;
        }
    }

    /// Gives partitions that nobody holds to their new owners. Returns whether there were any.
    fn hand_out(&mut self, topics: &Topics, target: &BTreeMap<TopicPartition, usize>, numbers: &[u64]) -> bool {
        let held: BTreeSet<TopicPartition> =
            self.members.values().flat_map(|member| member.holds().cloned().collect::<Vec<_>>()).collect();
        let mut moved = false;
        for (topic, count) in topics {
            for place in Partition::all(*count).map(|number| TopicPartition::new(topic.clone(), number)) {
                if held.contains(&place) {
                    continue;
                }
                let owner = target.get(&place).and_then(|index| self.members.get_mut(numbers.get(*index)?));
                if let Some(owner) = owner {
                    owner.arriving.insert(place);
                    owner.card.news.notify_one();
                    moved = true;
                }
            }
        }
        moved
    }
}

/// Takes from a member what is not `its` own any more, and gives back what was leaving and may
/// stay. Returns whether that changed anything.
fn settle(member: &mut Member, its: impl Fn(&TopicPartition) -> bool) -> bool {
    let before = (member.owned.len(), member.arriving.len());
    // The member was not told of these, so they can go elsewhere at once.
    member.arriving.retain(&its);
    let (stays, leaves): (BTreeSet<_>, BTreeSet<_>) =
        member.owned.iter().chain(&member.leaving).cloned().partition(&its);
    member.owned = stays;
    member.leaving = leaves;
    if !member.leaving.is_empty() {
        member.card.news.notify_one();
    }
    before != (member.owned.len(), member.arriving.len())
}
