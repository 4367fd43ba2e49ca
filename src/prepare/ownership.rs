//! Whose a topic is. Internal topics are told apart by their names alone, and two apps can arrive at the same name: app `shop`
//! with a table `eu-stock`, app `shop-eu` with a table `stock`.
//!
//! Each app lists the internal topics it owns in a topic of its own, `{app}-topics`. Topics that are not in the list yet are
//! claimed first; then the lists of all apps that could have the same name are looked at; then what
//! was claimed is owned. So of two apps that start at the same time each has written before it looks, and at least one finds
//! the other's claim. What is owned needs no look any more: an app that was first stays, and its starts cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use marlowe_broker::{
    Broker, BrokerError, Isolation, NewRecord, OffsetSpec, Partition, RecordBatch, Timestamp, TopicPartition,
};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::topology::{InternalTopic, Topology, list_topic};

/// The key of the list: of the records in the topic, compaction keeps the last.
const KEY: &[u8] = b"topics";

/// What an app says of its internal topics, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owned {
    /// Those that are its own.
    topics: BTreeSet<Arc<str>>,
    /// Those that will be, if no other app has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    claimed: BTreeSet<Arc<str>>,
}

impl Owned {
    fn has(&self, topic: &str) -> bool {
        self.topics.contains(topic) || self.claimed.contains(topic)
    }
}

/// Makes the program's internal topics its app's own. The topic of the list must be there.
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
    // As it is by now: another worker of the app may have finished meanwhile.
    owned = read(broker, &list_topic(app)).await?.unwrap_or_default();
    owned.claimed.retain(|claimed| new.iter().all(|topic| topic.name != *claimed));
    if let Ok(None) = taken {
        owned.topics.extend(new.iter().map(|topic| topic.name.clone()));
    }
    write(broker, app, &owned, now).await?;
    refuse(app, taken?)
}

/// Checks that none of the program's internal topics is another app's, and writes nothing.
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

/// The first of `topics` that another app has, and that app.
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
                tracing::warn!("whether app `{other}` has topics of the same names cannot be looked up: {reason}");
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

/// The apps whose internal topic could be called `topic`: `{app}-{something}-{kind}`.
fn possible_owners(topic: &str) -> impl Iterator<Item = &str> {
    let ends = topic.match_indices('-').map(|(end, _)| end);
    ends.filter(|end| *end > 0 && topic[end + 1..].contains('-')).map(|end| &topic[..end])
}

/// What an app says in its list; `None` when it says nothing, or is not there.
async fn read(broker: &dyn Broker, topic: &Arc<str>) -> Result<Option<Owned>, RunError> {
    let failed = || RunError::broker(format!("looking up in `{topic}` whose the internal topics are"));
    match last(broker, topic).await {
        Ok(None) | Err(BrokerError::UnknownTopic { .. }) => Ok(None),
        Ok(Some(json)) => serde_json::from_slice(&json).map(Some).map_err(|error| RunError::Codec {
            doing: format!("reading in `{topic}` whose the internal topics are"),
            reason: error.to_string(),
        }),
        Err(error) => Err(failed()(error)),
    }
}

/// The last record under the key, which the topic's compaction keeps.
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

async fn write(broker: &dyn Broker, app: &str, owned: &Owned, now: Timestamp) -> Result<(), RunError> {
    let topic = list_topic(app);
    let json = serde_json::to_vec(owned).map_err(|error| RunError::Codec {
        doing: format!("writing to `{topic}` whose the internal topics are"),
        reason: error.to_string(),
    })?;
    let written = async {
        let mut producer = broker.producer()?;
        let to = producer.destination(&TopicPartition { topic: topic.clone(), partition: Partition::new(0) })?;
        producer.send(to, NewRecord { timestamp: now, key: Some(KEY), value: Some(&json), headers: &[] })?;
        producer.flush().await.map(drop)
    };
    written.await.map_err(RunError::broker(format!("writing to `{topic}` whose the internal topics are")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n2_8_every_app_is_found_that_could_have_the_name() {
        let owners = |topic: &'static str| possible_owners(topic).collect::<Vec<_>>();
        assert_eq!(owners("shop-eu-stock-changelog"), ["shop", "shop-eu"]);
        assert_eq!(owners("shop-eu-leader-anchor"), ["shop", "shop-eu"]);
        assert_eq!(owners("shop-workers"), [""; 0], "no other app's is called so");
        assert_eq!(owners("-a--b-inbox"), ["-a", "-a-"]);
    }

    #[test]
    fn n2_8_what_an_app_owns_is_read_back_as_it_was_written() -> Result<(), serde_json::Error> {
        let owned = Owned { topics: ["a".into()].into(), claimed: ["b".into()].into() };
        let json = serde_json::to_string(&owned)?;
        assert_eq!(json, r#"{"topics":["a"],"claimed":["b"]}"#);
        assert_eq!(serde_json::from_str::<Owned>(&json)?, owned);
        assert_eq!(serde_json::from_str::<Owned>(r#"{"topics":[],"more":1}"#)?, Owned::default());
        Ok(())
    }
}
