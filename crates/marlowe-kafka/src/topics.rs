//! Creating, deleting and looking up topics, and deleting groups.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, Cleanup, Partition, TopicConfig, TopicDescription, TopicPartition, Turnover};
use rdkafka::admin::{NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use crate::background::in_background;
use crate::cluster::Cluster;
use crate::native::{Code, TopicMetadata};
use crate::tries::{Tries, options, passes};

/// The interval at which a topic is looked up until it is as it should be.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The longest time to wait for brokers that have not learned of a change yet.
const AGREE_WITHIN: Duration = Duration::from_secs(5);

/// The setting for how long compaction keeps a tombstone.
const TOMBSTONE_RETENTION: &str = "delete.retention.ms";
/// Kafka's default of that setting.
const KAFKAS_TOMBSTONE_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The prefix of the names of Kafka's own topics.
const INTERNAL: &str = "__";

impl Cluster {
    /// Checks that a partition exists. If it was not seen yet, asks the cluster, and blocks until
    /// it answers.
    pub(crate) fn check_partition(&self, at: &TopicPartition) -> Result<(), BrokerError> {
        let partitions = match self.topics.partitions(&at.topic) {
            Some(partitions) if at.partition.get() < partitions => partitions,
            _ => self
                .look_up(&at.topic)?
                .map(|topic| topic.partitions)
                .ok_or_else(|| BrokerError::UnknownTopic { topic: at.topic.clone() })?,
        };
        if at.partition.get() < partitions {
            return Ok(());
        }
        Err(BrokerError::UnknownPartition { topic: at.topic.clone(), partition: at.partition })
    }

    /// Checks that all of a topic's `partitions` exist.
    pub(crate) async fn check_partitions(
        self: &Arc<Self>,
        topic: &str,
        partitions: &[Partition],
    ) -> Result<(), BrokerError> {
        let (cluster, name) = (self.clone(), Arc::<str>::from(topic));
        let last = partitions.iter().copied().max().unwrap_or(Partition::new(0));
        if self.topics.partitions(topic).is_some_and(|known| last.get() < known) {
            return Ok(());
        }
        in_background("topics", move || cluster.check_partition(&TopicPartition { topic: name, partition: last }))
            .await?
    }

    /// Returns the metadata of a topic, if the cluster has the topic. Blocks.
    pub(crate) fn look_up(&self, topic: &str) -> Result<Option<TopicMetadata>, BrokerError> {
        let metadata = self.retried("looking up a topic", |within| self.lookups.metadata(Some(topic), within))?;
        let found = metadata.topics.into_iter().find(|found| found.name == topic);
        match found {
            Some(found) if found.error.is_none() && found.partitions > 0 => {
                self.topics.saw(topic, found.partitions);
                Ok(Some(found))
            }
            Some(TopicMetadata { error: Some(code), .. }) if code.is_refused() => {
                Err(self.attempt("looking up a topic").failed(&code.into()))
            }
            _ => {
                self.topics.forget(topic);
                Ok(None)
            }
        }
    }

    /// Returns whether these partitions exist. It is used when a client says that they do not,
    /// because a client that finds no leader says so too. Blocks.
    pub(crate) fn has(&self, topic: &str, partitions: &[Partition]) -> bool {
        let found = self.look_up(topic).ok().flatten();
        found.is_some_and(|found| partitions.iter().all(|partition| partition.get() < found.partitions))
    }

    async fn found(self: &Arc<Self>, topic: &str) -> Result<Option<TopicMetadata>, BrokerError> {
        let (cluster, topic) = (self.clone(), topic.to_owned());
        in_background("topics", move || cluster.look_up(&topic)).await?
    }

    pub(crate) async fn create_topic(self: &Arc<Self>, config: TopicConfig) -> Result<(), BrokerError> {
        let invalid = |reason: String| BrokerError::InvalidTopic { topic: config.name.clone(), reason };
        check_name(&config.name).map_err(invalid)?;
        if config.partitions == 0 {
            return Err(invalid("a topic has at least one partition".into()));
        }
        let replicas = config.replicas.or(self.config.replicas).unwrap_or_else(|| self.brokers().min(3) as u16);
        let (policy, retention) = settings_of(config.cleanup);
        let mut topic =
            NewTopic::new(&config.name, config.partitions as i32, TopicReplication::Fixed(i32::from(replicas)))
                .set("cleanup.policy", policy);
        if let Some(retention) = &retention {
            topic = topic.set("retention.ms", retention);
        }
        if let Cleanup::Delete { retention: None } = config.cleanup {
            // This overrides the cluster's default, whatever that is.
            topic = topic.set("retention.bytes", "-1");
        }
        let segment_bytes = config.segment_bytes.map(|bytes| bytes.to_string());
        if let Some(bytes) = &segment_bytes {
            topic = topic.set("segment.bytes", bytes);
        }
        let max_message_bytes = config.max_message_bytes.map(|bytes| bytes.to_string());
        if let Some(bytes) = &max_message_bytes {
            topic = topic.set("max.message.bytes", bytes);
        }
        let tombstone_retention = config.tombstone_retention.map(|retention| retention.as_millis().to_string());
        if let Some(retention) = &tombstone_retention {
            topic = topic.set(TOMBSTONE_RETENTION, retention);
        }
        for (name, value) in turnover_settings(config.turnover) {
            topic = topic.set(name, value);
        }
        let mut tries = Tries::of(self, "creating a topic");
        let created = loop {
            let answer = self.admin()?.create_topics([&topic], &options()).await;
            if let Some(created) = tries.settled(answer).await? {
                break created;
            }
        };
        match created {
            Ok(_) => {}
            // An earlier try created the topic, and its answer was lost.
            Err(RDKafkaErrorCode::TopicAlreadyExists) if tries.have_failed() => {}
            Err(RDKafkaErrorCode::TopicAlreadyExists) => return Err(BrokerError::TopicExists { topic: config.name }),
            Err(RDKafkaErrorCode::InvalidReplicationFactor) => {
                return Err(invalid(format!(
                    "the cluster does not have the {replicas} brokers that its {replicas} copies need: start more \
                     brokers, or ask for fewer copies (--replicas)"
                )));
            }
            Err(code) => return Err(invalid(format!("the cluster refuses it: {code}"))),
        }
        self.wait_until(&config.name, |found| found.as_ref().is_some_and(|topic| topic.is_led)).await?;
        self.all_brokers_agree_on(&config.name).await
    }

    pub(crate) async fn delete_topic(self: &Arc<Self>, topic: &str) -> Result<(), BrokerError> {
        let mut tries = Tries::of(self, "deleting a topic");
        let deleted = loop {
            let answer = self.admin()?.delete_topics(&[topic], &options()).await;
            if let Some(deleted) = tries.settled(answer).await? {
                break deleted;
            }
        };
        match deleted {
            Ok(_) => {}
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) if tries.have_failed() => {}
            Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Err(BrokerError::UnknownTopic { topic: topic.into() });
            }
            Err(code) => {
                return Err(BrokerError::InvalidTopic {
                    topic: topic.into(),
                    reason: format!("the cluster does not delete it: {code}"),
                });
            }
        }
        self.topics.forget(topic);
        self.wait_until(topic, |found| found.is_none()).await?;
        self.all_brokers_agree_on(topic).await
    }

    /// Waits until all brokers agree on a topic that was just created or deleted. They learn of it
    /// one after the other, and the next request may go to any of them. A group's coordinator
    /// forgets the positions in a deleted topic before it learns of the next topic of that name.
    async fn all_brokers_agree_on(self: &Arc<Self>, topic: &str) -> Result<(), BrokerError> {
        let (cluster, topic) = (self.clone(), topic.to_owned());
        in_background("topics", move || {
            let until = Instant::now() + AGREE_WITHIN.min(cluster.config.patience);
            while !cluster.agree_on(&topic) {
                // A broker that does not answer must not stop the program here. The topic is looked
                // up again where a broker does not know it.
                if Instant::now() >= until {
                    tracing::info!("not all brokers know yet that topic `{topic}` has changed");
                    break;
                }
                std::thread::park_timeout(LOOK_AGAIN);
            }
        })
        .await
    }

    /// Returns whether all brokers that are alive agree on a topic. Blocks.
    fn agree_on(&self, topic: &str) -> bool {
        let brokers = match self.lookups.metadata(Some(topic), AGREE_WITHIN) {
            Ok(metadata) => metadata.brokers,
            Err(_) => return false,
        };
        if brokers.len() == 1 {
            return true;
        }
        let mut ids = brokers.iter().map(|broker| self.lookups.topic_id_at(*broker, topic, AGREE_WITHIN));
        match ids.next() {
            Some(Ok(first)) => ids.all(|id| id.is_ok_and(|id| id == first)),
            _ => false,
        }
    }

    async fn wait_until(
        self: &Arc<Self>,
        topic: &str,
        holds: impl Fn(&Option<TopicMetadata>) -> bool,
    ) -> Result<(), BrokerError> {
        let wait = async {
            loop {
                if holds(&self.found(topic).await?) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(self.config.patience, wait).await.unwrap_or_else(|_| {
            Err(BrokerError::Unavailable {
                location: self.location(),
                reason: format!("its brokers did not learn in time that topic `{topic}` has changed"),
            })
        })
    }

    pub(crate) async fn topic(self: &Arc<Self>, topic: &str) -> Result<Option<TopicDescription>, BrokerError> {
        match self.found(topic).await? {
            Some(found) => self.describe(vec![found]).await?.pop().transpose(),
            None => Ok(None),
        }
    }

    pub(crate) async fn topics(self: &Arc<Self>) -> Result<Vec<TopicDescription>, BrokerError> {
        let cluster = self.clone();
        let metadata = in_background("topics", move || {
            cluster.retried("looking up the topics", |within| cluster.lookups.metadata(None, within))
        })
        .await??;
        let mut topics = metadata.topics;
        topics.retain(|topic| topic.error.is_none() && !topic.name.starts_with(INTERNAL));
        // A user may list topics without being allowed to see the settings of all of them.
        let described = self.describe(topics).await?;
        Ok(described.into_iter().filter_map(Result::ok).collect())
    }

    /// Returns the ids of topics. The cluster gives them, and no two topics have the same id.
    pub(crate) async fn topic_ids(self: &Arc<Self>, topics: &[Arc<str>]) -> Result<Vec<Option<Arc<str>>>, BrokerError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let (cluster, names) = (self.clone(), topics.to_vec());
        let ids = in_background("topics", move || {
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            cluster.retried("looking up topics' ids", |within| cluster.lookups.topic_ids(&names, within))
        })
        .await??;
        Ok(topics.iter().map(|topic| ids.get(&**topic).map(|id| id.as_str().into())).collect())
    }

    /// Adds to topics how long they keep their records, in the order of their names. Topics that
    /// were deleted meanwhile are left out. A topic whose settings may not be seen is an error.
    async fn describe(
        &self,
        mut topics: Vec<TopicMetadata>,
    ) -> Result<Vec<Result<TopicDescription, BrokerError>>, BrokerError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
        let mut tries = Tries::of(self, "looking up topics' settings");
        let described = loop {
            let described = match self.admin()?.describe_configs(&resources, &options()).await {
                Ok(described) => described,
                Err(error) => {
                    tries.again(&error).await?;
                    continue;
                }
            };
            match described.iter().find_map(|topic| topic.as_ref().err().copied().filter(|code| passes(*code))) {
                None => break described,
                Some(code) => tries.again(&KafkaError::AdminOp(code)).await?,
            }
        };
        let mut descriptions = Vec::new();
        for (topic, described) in topics.into_iter().zip(described) {
            let settings = match described {
                Ok(settings) => settings,
                Err(code) if Code::from(code).is_unknown_topic() => continue,
                Err(code) => {
                    descriptions.push(Err(tries.failed(&KafkaError::AdminOp(code))));
                    continue;
                }
            };
            let setting = |name: &str| {
                let entry = settings.entries.iter().find(|entry| entry.name == name)?;
                entry.value.clone()
            };
            self.topics.saw(&topic.name, topic.partitions);
            descriptions.push(Ok(TopicDescription {
                name: topic.name.into(),
                partitions: topic.partitions,
                cleanup: cleanup_of(setting("cleanup.policy").as_deref(), setting("retention.ms").as_deref()),
                tombstone_retention: setting(TOMBSTONE_RETENTION)
                    .and_then(|retention| retention.parse().ok())
                    .map_or(KAFKAS_TOMBSTONE_RETENTION, Duration::from_millis),
            }));
        }
        Ok(descriptions)
    }

    pub(crate) async fn delete_group(self: &Arc<Self>, group: &str) -> Result<(), BrokerError> {
        let mut tries = Tries::of(self, "deleting a group");
        let deleted = loop {
            let answer = self.admin()?.delete_groups(&[group], &options()).await;
            if let Some(deleted) = tries.settled(answer).await? {
                break deleted;
            }
        };
        match deleted {
            Ok(_) | Err(RDKafkaErrorCode::GroupIdNotFound) => Ok(()),
            Err(RDKafkaErrorCode::NonEmptyGroup) => {
                let (cluster, name) = (self.clone(), group.to_owned());
                let members = in_background("group", move || {
                    cluster.retried("counting a group's members", |within| cluster.lookups.group(&name, within))
                })
                .await??
                .assignments
                .len();
                Err(BrokerError::GroupNotEmpty { group: group.into(), members })
            }
            Err(code) => Err(tries.failed(&KafkaError::AdminOp(code))),
        }
    }
}

/// Checks a topic's name by Kafka's rule.
fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("its name is empty".into()),
        "." | ".." => Err("`.` and `..` cannot be names: choose another name".into()),
        _ if name.len() > 249 => Err(format!("its name has {} characters: use at most 249", name.len())),
        _ if !name.chars().all(allowed) => {
            Err("its name has other characters: use letters, digits, `.`, `_` and `-`".into())
        }
        _ => Ok(()),
    }
}

/// Returns the values of `cleanup.policy` and `retention.ms`.
fn settings_of(cleanup: Cleanup) -> (&'static str, Option<String>) {
    let millis = |retention: Duration| retention.as_millis().to_string();
    match cleanup {
        Cleanup::Delete { retention } => ("delete", Some(retention.map_or_else(|| "-1".to_owned(), millis))),
        Cleanup::Compact => ("compact", None),
        Cleanup::CompactDelete { retention } => ("compact,delete", Some(millis(retention))),
    }
}

/// Returns the settings for a turnover. With a high one, segments are small, so that outdated
/// records are soon in a closed segment. The markers of transactions in a closed segment are
/// removed a minute later.
fn turnover_settings(turnover: Turnover) -> &'static [(&'static str, &'static str)] {
    match turnover {
        Turnover::Ordinary => &[],
        Turnover::High => &[("segment.bytes", "1048576"), ("delete.retention.ms", "60000")],
    }
}

fn cleanup_of(policy: Option<&str>, retention: Option<&str>) -> Cleanup {
    let policy = policy.unwrap_or("delete");
    let retention = retention.and_then(|retention| retention.parse().ok()).map(Duration::from_millis);
    match (policy.contains("compact"), policy.contains("delete"), retention) {
        (true, true, Some(retention)) => Cleanup::CompactDelete { retention },
        (true, _, _) => Cleanup::Compact,
        (false, _, retention) => Cleanup::Delete { retention },
    }
}

#[cfg(test)]
mod tests;
