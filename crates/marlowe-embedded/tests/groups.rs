//! Whatever members do, a partition never has two owners, and in the end it has one.

mod exchange;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use exchange::{HandClock, config};
use marlowe_broker::{Broker, GroupConfig, GroupEvent, Membership, TopicConfig, TopicPartition};
use marlowe_embedded::EmbeddedBroker;
use proptest::prelude::*;
use tokio::time::Instant;

const SESSION: Duration = Duration::from_secs(10);
const TOPICS: [(&str, u32); 2] = [("one", 5), ("two", 3)];

#[derive(Clone, Debug)]
enum Act {
    Join {
        instance: Option<u8>,
    },
    Leave(usize),
    Drop(usize),
    /// Waits for one event, if there is one.
    Hear(usize),
    Acknowledge(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => prop::option::weighted(0.3, 0u8..2).prop_map(|instance| Act::Join { instance }),
        1 => any::<usize>().prop_map(Act::Leave),
        1 => any::<usize>().prop_map(Act::Drop),
        8 => any::<usize>().prop_map(Act::Hear),
        4 => any::<usize>().prop_map(Act::Acknowledge),
        2 => (1u64..8).prop_map(Act::Wait),
    ]
}

struct Player {
    membership: Box<dyn Membership>,
    owned: BTreeSet<TopicPartition>,
    revoked: BTreeSet<TopicPartition>,
    heard: Instant,
    instance: Option<u8>,
    /// True after another member has joined as the same instance.
    replaced: bool,
}

impl Player {
    /// Returns the partitions that the member may work on, as far as the broker can know.
    fn holds(&self) -> impl Iterator<Item = &TopicPartition> {
        let alive = !self.replaced && Instant::now() < self.heard + SESSION;
        self.owned.iter().chain(&self.revoked).filter(move |_| alive)
    }

    /// Takes one event. Returns whether there was one.
    async fn hear(&mut self) -> bool {
        let Ok(event) = tokio::time::timeout(Duration::ZERO, self.membership.next()).await else {
            self.heard = Instant::now();
            return false;
        };
        match event {
            Ok(GroupEvent::Assigned(places)) => {
                for place in places {
                    assert!(!self.revoked.contains(&place), "{place} was not acknowledged yet");
                    assert!(self.owned.insert(place.clone()), "{place} came twice");
                }
            }
            Ok(GroupEvent::Revoked(places)) => {
                for place in places {
                    assert!(self.owned.remove(&place), "{place} was not its own");
                    self.revoked.insert(place);
                }
            }
            Ok(GroupEvent::Lost(places)) => {
                let all: BTreeSet<_> = self.owned.union(&self.revoked).cloned().collect();
                assert_eq!(places.into_iter().collect::<BTreeSet<_>>(), all, "it lost all it had");
                self.owned.clear();
                self.revoked.clear();
            }
            Err(_) => {
                assert!(self.instance.is_some(), "only a static member is replaced");
                self.replaced = true;
                return false;
            }
        }
        self.heard = Instant::now();
        true
    }

    async fn acknowledge(&mut self) {
        let places: Vec<_> = self.revoked.iter().cloned().collect();
        if self.membership.acknowledge(&places).await.is_ok() {
            self.revoked.clear();
            self.heard = Instant::now();
        }
    }
}

fn check(players: &[Player]) {
    let mut owners = BTreeMap::new();
    for (number, player) in players.iter().enumerate() {
        for place in player.holds() {
            let other = owners.insert(place, number);
            assert_eq!(other, None, "{place} has two owners");
        }
    }
}

async fn run(acts: Vec<Act>) {
    let broker = EmbeddedBroker::in_memory(config(&Arc::<HandClock>::default()));
    for (topic, partitions) in TOPICS {
        broker.create_topic(TopicConfig::new(topic, partitions)).await.unwrap();
    }
    let mut players: Vec<Player> = Vec::new();
    for act in acts {
        let chosen = |number: usize| number.checked_rem(players.len());
        match act {
            Act::Join { instance } => {
                let mut config = GroupConfig::new("group", TOPICS.map(|(topic, _)| topic.into()));
                config.session_timeout = SESSION;
                config.instance = instance.map(|number| number.to_string().into());
                let membership = broker.join(config).await.unwrap();
                for player in &mut players {
                    player.replaced |= instance.is_some() && player.instance == instance;
                }
                let (owned, revoked) = (BTreeSet::new(), BTreeSet::new());
                players.push(Player { membership, owned, revoked, heard: Instant::now(), instance, replaced: false });
            }
            Act::Leave(number) => {
                if let Some(number) = chosen(number) {
                    players.remove(number).membership.leave().await.unwrap();
                }
            }
            Act::Drop(number) => {
                if let Some(number) = chosen(number) {
                    players.remove(number);
                }
            }
            Act::Hear(number) => {
                if let Some(number) = chosen(number) {
                    players[number].hear().await;
                }
            }
            Act::Acknowledge(number) => {
                if let Some(number) = chosen(number) {
                    players[number].acknowledge().await;
                }
            }
            Act::Wait(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
        }
        check(&players);
    }
    settle(&mut players).await;
}

/// Lets all members take and acknowledge all events, until silent members are expelled. Then checks
/// the balance.
async fn settle(players: &mut Vec<Player>) {
    for _ in 0..8 {
        let mut news = true;
        while news {
            news = false;
            for number in 0..players.len() {
                news |= players[number].hear().await;
                if !players[number].replaced && !players[number].revoked.is_empty() {
                    players[number].acknowledge().await;
                    news = true;
                }
                check(players);
            }
        }
        tokio::time::advance(SESSION / 4).await;
    }
    players.retain(|player| !player.replaced);
    if players.is_empty() {
        return;
    }
    let mut totals = vec![0; players.len()];
    for (topic, partitions) in TOPICS {
        let of_topic = |player: &Player| player.owned.iter().filter(|place| &*place.topic == topic).count();
        let counts: Vec<usize> = players.iter().map(of_topic).collect();
        assert_eq!(counts.iter().sum::<usize>() as u32, partitions, "all of {topic} is owned");
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{topic} is balanced: {counts:?}");
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    assert!(totals.iter().max().unwrap() - totals.iter().min().unwrap() <= 1, "all is balanced: {totals:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_partition_never_has_two_owners_and_ends_with_one(acts in prop::collection::vec(act(), 0..60)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(acts));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_expires_in_virtual_time() {
    let broker = EmbeddedBroker::in_memory(config(&Arc::<HandClock>::default()));
    broker.create_topic(TopicConfig::new("topic", 2)).await.unwrap();
    let join = async || broker.join(GroupConfig::new("group", ["topic".into()])).await.unwrap();
    let mut dropped = join().await;
    assert!(matches!(dropped.next().await.unwrap(), GroupEvent::Assigned(places) if places.len() == 2));
    drop(dropped);
    let start = Instant::now();
    let mut other = join().await;
    assert!(matches!(other.next().await.unwrap(), GroupEvent::Assigned(places) if places.len() == 2));
    assert_eq!(start.elapsed().as_secs(), 45, "the default session");
}
