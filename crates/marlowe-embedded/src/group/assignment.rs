//! The assignment of partitions to members: in balance, and with few moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use marlowe_broker::{Partition, TopicPartition};

/// The topics of a group, with their numbers of partitions.
pub(crate) type Topics = BTreeMap<Arc<str>, u32>;

/// Returns the member that should own each partition. The result is balanced in each topic and over
/// all topics, and is as near to `owners` as that allows.
///
/// `members` has the topics that each member subscribes to, in the order in which they joined. A
/// member's number is its index in `members`.
pub(crate) fn assign(
    topics: &Topics,
    members: &[&BTreeSet<Arc<str>>],
    owners: &BTreeMap<TopicPartition, usize>,
) -> BTreeMap<TopicPartition, usize> {
    let quotas = Quotas::new(topics, members, owners);
    let mut target = BTreeMap::new();
    for (topic, quota) in &quotas.topics {
        let mut left = quota.clone();
        let mut homeless = Vec::new();
        for place in Partition::all(topics[topic]).map(|number| TopicPartition::new(topic.clone(), number)) {
            match owners.get(&place).and_then(|owner| left.get_mut(owner).map(|left| (*owner, left))) {
                Some((owner, left)) if *left > 0 => {
                    *left -= 1;
                    target.insert(place, owner);
                }
                _ => homeless.push(place),
            }
        }
        let mut takers = left.into_iter().flat_map(|(member, count)| std::iter::repeat_n(member, count as usize));
        for place in homeless {
            let Some(member) = takers.next() else { break };
            target.insert(place, member);
        }
    }
    target
}

/// The number of partitions of each topic that each member should have.
struct Quotas {
    topics: BTreeMap<Arc<str>, BTreeMap<usize, u32>>,
    totals: Vec<u32>,
}

impl Quotas {
    fn new(topics: &Topics, members: &[&BTreeSet<Arc<str>>], owners: &BTreeMap<TopicPartition, usize>) -> Self {
        let mut quotas = Self { topics: BTreeMap::new(), totals: vec![0; members.len()] };
        let mut floors = BTreeMap::new();
        for (topic, count) in topics {
            let subscribed: Vec<usize> = (0..members.len()).filter(|member| members[*member].contains(topic)).collect();
            let Some(floor) = count.checked_div(subscribed.len() as u32) else { continue };
            floors.insert(topic.clone(), floor);
            subscribed.iter().for_each(|member| quotas.totals[*member] += floor);
            quotas.topics.insert(topic.clone(), subscribed.into_iter().map(|member| (member, floor)).collect());
        }
        let mut owned: BTreeMap<(&Arc<str>, usize), u32> = BTreeMap::new();
        for (place, owner) in owners {
            *owned.entry((&place.topic, *owner)).or_default() += 1;
        }
        // Returns whether one more partition of the topic saves the member from a move.
        let wants = |topic: &Arc<str>, member: usize| {
            owned.get(&(topic, member)).copied().unwrap_or(0) > floors.get(topic).copied().unwrap_or(0)
        };
        for (topic, count) in topics {
            let Some(quota) = quotas.topics.get_mut(topic) else { continue };
            let extras = *count as usize % quota.len();
            let mut order: Vec<usize> = quota.keys().copied().collect();
            order.sort_by_key(|member| (!wants(topic, *member), quotas.totals[*member], *member));
            for member in order.into_iter().take(extras) {
                *quota.entry(member).or_default() += 1;
                quotas.totals[member] += 1;
            }
        }
        while quotas.level(&floors, &wants) {}
        quotas
    }

    /// Moves one partition of a quota from a member to another member that could have it and has at
    /// least two fewer. Takes the pair with the largest difference, and among equals the one that
    /// costs the fewest moves. Returns whether there was such a pair.
    fn level(&mut self, floors: &BTreeMap<Arc<str>, u32>, wants: &dyn Fn(&Arc<str>, usize) -> bool) -> bool {
        let mut best = None;
        let mut most = (0, 0);
        for (topic, quota) in &self.topics {
            let floor = floors.get(topic).copied().unwrap_or(0);
            let givers = quota.iter().filter(|(_, count)| **count > floor).map(|(member, _)| *member);
            for giver in givers {
                for taker in quota.iter().filter(|(_, count)| **count == floor).map(|(member, _)| *member) {
                    let gap = self.totals[giver].saturating_sub(self.totals[taker]);
                    if gap < 2 {
                        continue;
                    }
                    let gain = i8::from(wants(topic, taker)) - i8::from(wants(topic, giver));
                    if (gap, gain) > most {
                        most = (gap, gain);
                        best = Some((topic.clone(), giver, taker));
                    }
                }
            }
        }
        let Some((topic, giver, taker)) = best else { return false };
        if let Some(quota) = self.topics.get_mut(&topic) {
            quota.entry(giver).and_modify(|count| *count -= 1);
            quota.entry(taker).and_modify(|count| *count += 1);
        }
        self.totals[giver] -= 1;
        self.totals[taker] += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topics(counts: &[u32]) -> Topics {
        counts.iter().enumerate().map(|(n, count)| (Arc::from(format!("t{n}")), *count)).collect()
    }

    fn counts(target: &BTreeMap<TopicPartition, usize>, members: usize, topic: Option<&str>) -> Vec<usize> {
        let of = |member| {
            let owned = target
                .iter()
                .filter(move |(place, owner)| **owner == member && topic.is_none_or(|topic| &*place.topic == topic));
            owned.count()
        };
        (0..members).map(of).collect()
    }

    fn spread(counts: &[usize]) -> usize {
        counts.iter().max().unwrap() - counts.iter().min().unwrap()
    }

    #[test]
    fn one_more_member_moves_only_its_own_share() {
        let topics = topics(&[12]);
        let all: BTreeSet<_> = topics.keys().cloned().collect();
        let before = assign(&topics, &[&all; 3], &BTreeMap::new());
        let after = assign(&topics, &[&all; 4], &before);
        assert_eq!(before.iter().filter(|(place, owner)| after[place] != **owner).count(), 3);
        assert_eq!(assign(&topics, &[&all; 4], &after), after);
    }

    proptest! {
        #[test]
        fn every_partition_is_assigned_in_balance(
            sizes in prop::collection::vec(1u32..9, 1..5),
            first in 1usize..6,
            second in 1usize..6,
        ) {
            let topics = topics(&sizes);
            let all: BTreeSet<_> = topics.keys().cloned().collect();
            let before = assign(&topics, &vec![&all; first], &BTreeMap::new());
            let target = assign(&topics, &vec![&all; second], &before);
            prop_assert_eq!(target.len() as u32, sizes.iter().sum::<u32>());
            prop_assert!(spread(&counts(&target, second, None)) <= 1);
            for topic in topics.keys() {
                prop_assert!(spread(&counts(&target, second, Some(topic))) <= 1);
            }
            // Nothing moves when nothing changed.
            prop_assert_eq!(assign(&topics, &vec![&all; second], &target), target);
        }

        #[test]
        fn members_get_only_what_they_subscribe_to(
            sizes in prop::collection::vec(1u32..9, 3),
            subscriptions in prop::collection::vec(prop::collection::btree_set(0usize..3, 1..3), 1..5),
        ) {
            let topics = topics(&sizes);
            let subscriptions: Vec<BTreeSet<Arc<str>>> = subscriptions
                .iter()
                .map(|each| each.iter().map(|n| Arc::from(format!("t{n}"))).collect())
                .collect();
            let target = assign(&topics, &subscriptions.iter().collect::<Vec<_>>(), &BTreeMap::new());
            for (place, owner) in &target {
                prop_assert!(subscriptions[*owner].contains(&place.topic));
            }
            let wanted = topics.iter().filter(|(topic, _)| subscriptions.iter().any(|each| each.contains(*topic)));
            prop_assert_eq!(target.len() as u32, wanted.map(|(_, count)| *count).sum::<u32>());
        }
    }
}
