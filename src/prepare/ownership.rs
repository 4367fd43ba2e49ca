//! The ownership of internal topics. Internal topics are distinguished only by their names, and two
//! apps can arrive at the same name: app `shop` with a table `eu-stock`, and app `shop-eu` with a
//! table `stock`.
//!
//! Each app lists the internal topics that it owns in a topic of its own, `{app}-topics`. Topics
//! that are not in the list yet become its own in three steps:
//!
//! 1. The app writes a claim for them to its list.
//! 2. It reads the lists of all apps that could have topics of the same names.
//! 3. If none of them has one, it turns the claim into ownership. Otherwise it withdraws the claim
//!    and is refused.
//!
//! Each app writes before it looks. So if two apps start at the same time, at least one finds the
//! other's claim. Topics that an app owns are not looked up again. So the app that came first
//! stays, and its later starts cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use marlowe_broker::{
    Broker, BrokerError, Isolation, NewRecord, OffsetSpec, Partition, RecordBatch, Timestamp, TopicPartition,
};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::topology::{InternalTopic, Topology, list_topic};

/// The key of the list. Compaction keeps the last record with it.
const KEY: &[u8] = b"topics";

/// The internal topics of an app, as its list has them in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnedTopics {
    /// The topics that the app owns.
    topics: BTreeSet<Arc<str>>,
    /// The topics that the app will own if no other app has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    claimed: BTreeSet<Arc<str>>,
}

impl OwnedTopics {
    fn has(&self, topic: &str) -> bool {
        self.topics.contains(topic) || self.claimed.contains(topic)
    }
}

/// Makes the program's internal topics the app's own. The topic of the list must exist.
///
/// # Errors
/// When another app has one of them.
pub(crate) async fn own_topics(topology: &Topology, broker: &dyn Broker, now: Timestamp) -> Result<(), RunError> {
    let app = &topology.graph.app;
    let internal = topology.internal_topics();
    let mut owned = read(broker, &list_topic(app)).await?.unwrap_or_default();
    let new: Vec<&InternalTopic> = internal.iter().filter(|topic| !owned.topics.contains(&topic.name)).collect();
    if new.is_empty() {
        return Ok(());
    }
    owned.claimed.extend(new.iter().map(|topic| topic.name.clone()));
    write(broker, app, &owned, now).await?;
    let taken = find_owner(app, &new, broker).await;
    // Read again, because another worker of the app may have finished meanwhile.
    owned = read(broker, &list_topic(app)).await?.unwrap_or_default();
    owned.claimed.retain(|claimed| new.iter().all(|topic| topic.name != *claimed));
    if let Ok(None) = taken {
        owned.topics.extend(new.iter().map(|topic| topic.name.clone()));
    }
    write(broker, app, &owned, now).await?;
    refuse(app, taken?)
}

/// Checks that no internal topic of the program belongs to another app. Writes nothing.
///
/// # Errors
/// When another app has one of them.
pub(crate) async fn check_owner(topology: &Topology, broker: &dyn Broker) -> Result<(), RunError> {
    let app = &topology.graph.app;
    let internal = topology.internal_topics();
    let owned = read(broker, &list_topic(app)).await?.unwrap_or_default();
    let others: Vec<&InternalTopic> = internal.iter().filter(|topic| !owned.topics.contains(&topic.name)).collect();
    refuse(app, find_owner(app, &others, broker).await?)
}

fn refuse(app: &Arc<str>, taken: Option<(&InternalTopic, Arc<str>)>) -> Result<(), RunError> {
    let Some((topic, owner)) = taken else { return Ok(()) };
    let (topic, what) = (topic.name.clone(), topic.what.clone());
    Err(RunError::TopicOwned { topic, what, app: app.clone(), owner })
}

/// Returns the first of `topics` that another app has, and that app.
async fn find_owner<'a>(
    app: &Arc<str>,
    topics: &[&'a InternalTopic],
    broker: &dyn Broker,
) -> Result<Option<(&'a InternalTopic, Arc<str>)>, RunError> {
    let mut candidates: BTreeMap<&str, Vec<&'a InternalTopic>> = BTreeMap::new();
    for topic in topics {
        for other in possible_owners(&topic.name).filter(|other| *other != &**app) {
            candidates.entry(other).or_default().push(topic);
        }
    }
    let look = async |(other, topics): (&str, Vec<&'a InternalTopic>)| {
        let owned = match read(broker, &list_topic(other)).await {
            Err(RunError::Broker { source: BrokerError::Refused { reason, .. }, .. }) => {
                tracing::warn!("cannot look up whether app `{other}` has topics of the same names: {reason}");
                None
            }
            read => read?,
        };
        let owns = |topic: &&&InternalTopic| owned.as_ref().is_some_and(|owned| owned.has(&topic.name));
        Ok::<_, RunError>(topics.iter().find(owns).map(|topic| (*topic, Arc::from(other))))
    };
    let found = try_join_all(candidates.into_iter().map(look)).await?;
    Ok(found.into_iter().flatten().next())
}

/// Returns the apps whose internal topic could be called `topic`, which has the form
/// `{app}-{something}-{kind}`.
fn possible_owners(topic: &str) -> impl Iterator<Item = &str> {
    let ends = topic.match_indices('-').map(|(end, _)| end);
    ends.filter(|end| *end > 0 && topic[end + 1..].contains('-')).map(|end| &topic[..end])
}

/// Reads the list of an app. Returns `None` if the list does not exist or is empty.
async fn read(broker: &dyn Broker, topic: &Arc<str>) -> Result<Option<OwnedTopics>, RunError> {
    let failed = || RunError::broker(format!("looking up the list of internal topics in `{topic}`"));
    match last(broker, topic).await {
        Ok(None) | Err(BrokerError::UnknownTopic { .. }) => Ok(None),
        Ok(Some(json)) => serde_json::from_slice(&json).map(Some).map_err(|error| RunError::Codec {
            doing: format!("reading the list of internal topics in `{topic}`"),
            reason: error.to_string(),
        }),
        Err(error) => Err(failed()(error)),
    }
}

/// Returns the last record of the list, which compaction keeps.
async fn last(broker: &dyn Broker, topic: &Arc<str>) -> Result<Option<Vec<u8>>, BrokerError> {
    if broker.topic(topic).await?.is_none() {
        return Ok(None);
    }
    let partition = Partition::new(0);
    let place = async |spec| Ok::<_, BrokerError>(broker.offsets(topic, &[partition], spec).await?.first().copied());
    let (Some(start), Some(end)) = (place(OffsetSpec::Earliest).await?, place(OffsetSpec::Latest).await?) else {
        return Ok(None);
    };
    let mut found = None;
    if start < end {
        let mut reader = broker.reader(Isolation::ReadCommitted)?;
        reader.assign(&TopicPartition { topic: topic.clone(), partition }, start)?;
        let mut at = start;
        while at < end {
            for fetched in reader.poll().await? {
                let batch: &dyn RecordBatch = &*fetched.batch;
                let ours = (0..batch.len()).map(|index| batch.get(index)).filter(|record| record.key == Some(KEY));
                if let Some(record) = ours.last() {
                    found = record.value.map(<[u8]>::to_vec);
                }
                at = batch.next_offset();
            }
        }
    }
    Ok(found)
}

async fn write(broker: &dyn Broker, app: &str, owned: &OwnedTopics, now: Timestamp) -> Result<(), RunError> {
    let topic = list_topic(app);
    let json = serde_json::to_vec(owned).map_err(|error| RunError::Codec {
        doing: format!("writing the list of internal topics to `{topic}`"),
        reason: error.to_string(),
    })?;
    let written = async {
        let mut producer = broker.producer()?;
        let to = producer.destination(&TopicPartition { topic: topic.clone(), partition: Partition::new(0) })?;
        producer.send(to, NewRecord { timestamp: now, key: Some(KEY), value: Some(&json), headers: &[] })?;
        producer.flush().await.map(drop)
    };
    written.await.map_err(RunError::broker(format!("writing the list of internal topics to `{topic}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n2_8_every_possible_owner_of_a_name_is_found() {
        let owners = |topic: &'static str| possible_owners(topic).collect::<Vec<_>>();
        assert_eq!(owners("shop-eu-stock-changelog"), ["shop", "shop-eu"]);
        assert_eq!(owners("shop-eu-leader-anchor"), ["shop", "shop-eu"]);
        assert_eq!(owners("shop-workers"), [""; 0], "no other app's is called so");
        assert_eq!(owners("-a--b-inbox"), ["-a", "-a-"]);
    }

    #[test]
    fn n2_8_the_list_of_topics_is_read_back_as_written() -> Result<(), serde_json::Error> {
        let owned = OwnedTopics { topics: ["a".into()].into(), claimed: ["b".into()].into() };
        let json = serde_json::to_string(&owned)?;
        assert_eq!(json, r#"{"topics":["a"],"claimed":["b"]}"#);
        assert_eq!(serde_json::from_str::<OwnedTopics>(&json)?, owned);
        assert_eq!(serde_json::from_str::<OwnedTopics>(r#"{"topics":[],"more":1}"#)?, OwnedTopics::default());
        Ok(())
    }
}
