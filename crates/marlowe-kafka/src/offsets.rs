//! Lookups of offsets, and lookups and commits of the positions of groups.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, CommittedOffset, GroupMetadata, Offset, OffsetSpec, Partition, TopicPartition};
use tokio::time::Instant;

use crate::background::in_background;
use crate::cluster::Cluster;
use crate::native::{Client, Code, Configuration, Failure, Kind, Place, Places};

/// The time for which a topic that existed may be unknown, because brokers that come back learn of
/// their topics late.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// The number of groups whose clients for positions are kept open.
const ASKERS: usize = 4;

impl Cluster {
    pub(crate) async fn offsets(
        self: &Arc<Self>,
        topic: &str,
        partitions: &[Partition],
        spec: OffsetSpec,
    ) -> Result<Vec<Offset>, BrokerError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.check_partitions(topic, partitions).await?;
        let (cluster, topic, partitions) = (self.clone(), Arc::<str>::from(topic), partitions.to_vec());
        in_background("offsets", move || {
            let asked_first = Instant::now();
            let ask = |question: i64, partitions: &[Partition]| {
                let places: Vec<_> =
                    partitions.iter().map(|partition| Place::new(&topic, partition.get(), question)).collect();
                cluster.retried("looking up offsets", |within| {
                    let places = Places::of(&places);
                    let asked = cluster.lookups.offsets(&places, within);
                    let places = places.places();
                    let error = places.iter().find_map(|place| place.error.map(Failure::of));
                    let Some(failure) = asked.err().or(error) else { return Ok(places) };
                    // librdkafka keeps using what it knows of the topic until it is told otherwise,
                    // even if that is out of date. So the cluster is asked in any case.
                    let is_there = cluster.has(&topic, partitions);
                    match failure.code.is_unknown_topic() && (is_there || asked_first.elapsed() < UNKNOWN_FOR) {
                        true => Err(Failure { code: Code::NO_LEADER, ..failure }),
                        false => Err(failure),
                    }
                })
            };
            let question = match spec {
                OffsetSpec::Earliest => Places::EARLIEST,
                OffsetSpec::Latest => Places::LATEST,
                OffsetSpec::At(timestamp) => timestamp.millis().max(0),
            };
            let asked = ask(question, &partitions).and_then(|mut found| {
                // A partition without a record of that time or later is answered with its end.
                if found.iter().any(|place| place.offset < 0) {
                    let ends = ask(Places::LATEST, &partitions)?;
                    for (place, end) in found.iter_mut().zip(ends) {
                        place.offset = if place.offset < 0 { end.offset } else { place.offset };
                    }
                }
                Ok(found)
            });
            let found = asked.inspect_err(|_| cluster.topics.forget(&topic))?;
            Ok(found.iter().map(|place| Offset::new(place.offset.max(0) as u64)).collect())
        })
        .await?
    }

    pub(crate) async fn committed(
        self: &Arc<Self>,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BrokerError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let (cluster, group) = (self.clone(), group.to_owned());
        let places: Vec<_> =
            partitions.iter().map(|at| Place::new(&at.topic, at.partition.get(), Places::EARLIEST)).collect();
        in_background("positions", move || {
            let asker = cluster.asker(&group)?;
            let found = cluster.retried("looking up a group's positions", |within| {
                let places = Places::of(&places);
                asker.committed(&places, within).map_err(explained)?;
                let places = places.places();
                match places.iter().find_map(|place| place.error.filter(|code| !code.is_unknown_topic())) {
                    Some(code) => Err(Failure::of(code)),
                    None => Ok(places),
                }
            })?;
            let committed = |place: Place| {
                let offset = u64::try_from(place.offset).ok()?;
                Some(CommittedOffset { offset: Offset::new(offset), metadata: place.note })
            };
            Ok(found.into_iter().map(committed).collect())
        })
        .await?
    }

    pub(crate) async fn commit_offsets(
        self: &Arc<Self>,
        group: &str,
        member: Option<&GroupMetadata>,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BrokerError> {
        let places = places_of(offsets);
        let (cluster, group, member) = (self.clone(), group.to_owned(), member.cloned());
        in_background("positions", move || match member {
            Some(member) => cluster.commit_as(&member, &places),
            None if places.is_empty() => Ok(()),
            None => {
                let asker = cluster.asker(&group)?;
                cluster.retried("committing positions", |_| asker.commit(&Places::of(&places)))
            }
        })
        .await?
    }

    /// Commits positions in the name of a member of this process.
    fn commit_as(&self, metadata: &GroupMetadata, places: &[Place]) -> Result<(), BrokerError> {
        let over = || BrokerError::Fenced {
            who: format!("member `{}` of group `{}`", metadata.member, metadata.group),
            reason: "it is not a member any more, or its generation is out of date".into(),
        };
        let member = self.members.find(metadata).ok_or_else(over)?;
        let places = if places.is_empty() { member.nothing() } else { places.to_vec() };
        self.retried("committing positions", |_| {
            // The generation may have changed since the commit began. What the member still owns is
            // its own in the new one too. A commit that begins while the member joins again waits
            // for that. It is then refused, because it names the old generation, and is made again.
            match (member.client(), member.identity()) {
                (Some(client), Some(_)) if member.may_commit_as(metadata) => {
                    client.commit(&Places::of(&places)).map_err(|failure| match client.fatal() {
                        Some(fatal) => fatal,
                        None if failure.code.is_old_generation() => Failure::of(Code::REBALANCING),
                        None => failure,
                    })
                }
                _ => Err(Failure::of(Code::ILLEGAL_GENERATION)),
            }
        })
    }

    /// Returns the client that looks up a group's positions, and that changes them while the group
    /// has no members. Lookups wait for open transactions, because a position that may still be
    /// aborted does not count.
    fn asker(&self, group: &str) -> Result<Arc<Client>, BrokerError> {
        let mut askers = self.askers.lock();
        if let Some(asker) = askers.get(group) {
            return Ok(asker.clone());
        }
        let configuration = Configuration::new(&self.config, &[("isolation.level", "read_committed")])
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("enable.auto.commit", "false");
        let asker = Client::new(Kind::Consumer, &configuration)?;
        if askers.len() >= ASKERS {
            askers.clear();
        }
        askers.insert(group.to_owned(), asker.clone());
        Ok(asker)
    }
}

/// Adds to a time-out what the lookup of positions may be waiting for, because librdkafka does not
/// say it.
fn explained(failure: Failure) -> Failure {
    if failure.code != Code::TIMED_OUT {
        return failure;
    }
    let reason = format!(
        "{}: brokers are away, or a transaction that changes the positions is open (`kafka-transactions.sh \
         find-hanging` finds one that hangs)",
        failure.reason
    );
    Failure { reason, ..failure }
}

/// Converts positions into librdkafka's form.
pub(crate) fn places_of(offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<Place> {
    let place = |(at, committed): &(TopicPartition, CommittedOffset)| Place {
        note: committed.metadata.clone(),
        ..Place::new(&at.topic, at.partition.get(), committed.offset.get() as i64)
    };
    offsets.iter().map(place).collect()
}
