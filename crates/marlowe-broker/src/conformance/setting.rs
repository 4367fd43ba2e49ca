//! The setting of a check: the broker, its timings, and helpers that wait and make names.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::{Cleanup, Entropy, Partition, SharedBroker, SystemEntropy, TopicConfig, TopicPartition};

/// The broker to check, and the timings and sizes that the checks need to know.
#[derive(Clone)]
pub struct Setting {
    pub(super) broker: SharedBroker,
    pub(super) session_timeout: Duration,
    pub(super) patience: Duration,
    pub(super) over_limit: usize,
    _kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl Setting {
    /// Creates a setting for `broker`. Defaults: sessions of 1 s, 30 s of patience, and 11 MiB as
    /// the size of a value that is over the limit.
    pub fn new(broker: SharedBroker) -> Self {
        Self {
            broker,
            session_timeout: Duration::from_secs(1),
            patience: Duration::from_secs(30),
            over_limit: 11 * 1024 * 1024,
            _kept: None,
        }
    }

    /// Sets the session timeout of members (default: 1 s). Kafka by default accepts none below 6 s.
    pub fn session_timeout(self, session_timeout: Duration) -> Self {
        Self { session_timeout, ..self }
    }

    /// Sets how long a check waits for something that should happen (default: 30 s).
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets a size of a value, in bytes, that no record may have (default: 11 MiB).
    pub fn over_limit(self, over_limit: usize) -> Self {
        Self { over_limit, ..self }
    }

    /// Keeps `thing` for as long as the check runs, such as a temporary folder.
    pub fn keeping(self, thing: impl Any + Send + Sync) -> Self {
        Self { _kept: Some(Arc::new(thing)), ..self }
    }

    /// Returns a unique name.
    pub(super) fn name(&self, what: &str) -> Arc<str> {
        format!("conformance-{what}-{:016x}", SystemEntropy.next()).into()
    }

    /// Creates a topic that keeps everything, and returns its name.
    pub(super) async fn topic(&self, partitions: u32) -> Arc<str> {
        self.topic_with(partitions, Cleanup::Delete { retention: None }).await
    }

    pub(super) async fn topic_with(&self, partitions: u32, cleanup: Cleanup) -> Arc<str> {
        let name = self.name("topic");
        let config = TopicConfig::new(name.clone(), partitions).cleanup(cleanup);
        self.broker.create_topic(config).await.expect("a topic can be created");
        self.until("the topic is there", async || {
            self.broker.topic(&name).await.expect("topics can be asked for").is_some()
        })
        .await;
        name
    }

    /// Waits for `future` within the patience, and panics with `what` when it takes longer.
    pub(super) async fn within<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout(self.patience, future).await {
            Ok(value) => value,
            Err(_) => panic!("waited in vain: {what}"),
        }
    }

    /// Waits until `holds` returns true, within the patience.
    pub(super) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let patience = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        self.within(what, patience).await;
    }

    /// Waits a fifth of a session, in which something that must not happen would have happened.
    pub(super) async fn a_while(&self) {
        tokio::time::sleep(self.session_timeout / 5).await;
    }
}

/// Returns partition `number` of `topic`.
pub(super) fn place(topic: &Arc<str>, number: u32) -> TopicPartition {
    TopicPartition::new(topic.clone(), Partition::new(number))
}
