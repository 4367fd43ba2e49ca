//! Lookups at the broker for single partitions, coalesced so that many shards share one request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, CommittedOffset, Offset, OffsetSpec, Partition, SharedBroker, TopicPartition};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::coalesce::Gathering;
use crate::config::TombstoneRetention;

/// The lookups of a worker for single partitions.
///
/// Many shards come to a worker at once, and each asks for its own partitions. Questions that come
/// while a request is under way go out together in the next one. So an answer is never older than
/// its question.
pub(crate) struct Lookups {
    broker: SharedBroker,
    group: Arc<str>,
    offsets: Mutex<BTreeMap<(Arc<str>, End), OffsetGathering>>,
    committed: Gathering<TopicPartition, Option<CommittedOffset>>,
    /// How long changelogs keep tombstones, and when that was looked up.
    retentions: Mutex<BTreeMap<Arc<str>, Arc<KnownRetention>>>,
    topic_ids: Gathering<Arc<str>, Option<Arc<str>>>,
}

/// The retention that was looked up for a changelog, and when. The caller that looks it up holds
/// the lock.
type KnownRetention = tokio::sync::Mutex<Option<(Instant, TombstoneRetention)>>;

/// How long the settings of a topic count before they are looked up again.
const BELIEVED: Duration = Duration::from_secs(60);

type OffsetGathering = Arc<Gathering<Partition, Offset>>;

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The offset of the first record that exists.
    Earliest,
    /// The offset of the next record.
    Latest,
}

impl Lookups {
    /// Creates the lookups at `broker`. Positions are those of `group`.
    pub(crate) fn new(broker: SharedBroker, group: Arc<str>) -> Self {
        let (offsets, committed, topic_ids) = (Mutex::default(), Gathering::default(), Gathering::default());
        Self { broker, group, offsets, committed, retentions: Mutex::default(), topic_ids }
    }

    /// Returns where a partition begins or ends.
    pub(crate) async fn offset(&self, topic: &Arc<str>, partition: Partition, end: End) -> Result<Offset, BrokerError> {
        let gathering = self.offsets.lock().entry((topic.clone(), end)).or_default().clone();
        let spec = match end {
            End::Earliest => OffsetSpec::Earliest,
            End::Latest => OffsetSpec::Latest,
        };
        gathering.ask(partition, async |partitions| self.broker.offsets(topic, partitions, spec).await).await
    }

    /// Returns how long a changelog keeps tombstones. All its partitions ask at the same time, and
    /// one request answers them.
    pub(crate) async fn tombstone_retention(&self, changelog: &Arc<str>) -> Result<TombstoneRetention, BrokerError> {
        let known = self.retentions.lock().entry(changelog.clone()).or_default().clone();
        let mut known = known.lock().await;
        if let Some((at, retention)) = *known
            && at.elapsed() < BELIEVED
        {
            return Ok(retention);
        }
        let found = self.broker.topic(changelog).await?;
        let found = found.ok_or_else(|| BrokerError::UnknownTopic { topic: changelog.clone() })?;
        let retention = TombstoneRetention(found.tombstone_retention);
        *known = Some((Instant::now(), retention));
        Ok(retention)
    }

    /// Returns the id that distinguishes a topic from others of its name.
    pub(crate) async fn topic_id(&self, topic: &Arc<str>) -> Result<Option<Arc<str>>, BrokerError> {
        let ask = async |topics: &[Arc<str>]| {
            let each: Vec<Arc<str>> = topics.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
            let ids = self.broker.topic_ids(&each).await?;
            let ids: BTreeMap<Arc<str>, Option<Arc<str>>> = each.into_iter().zip(ids).collect();
            Ok(topics.iter().map(|topic| ids.get(topic).cloned().flatten()).collect())
        };
        self.topic_ids.ask(topic.clone(), ask).await
    }

    /// Returns the group's position in a partition.
    pub(crate) async fn committed(&self, source: TopicPartition) -> Result<Option<CommittedOffset>, BrokerError> {
        self.committed.ask(source, async |sources| self.broker.committed(&self.group, sources).await).await
    }
}
