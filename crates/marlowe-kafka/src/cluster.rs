//! The state that all readers, producers and memberships of a cluster share, and its client for
//! lookups.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use marlowe_broker::BrokerError;
use parking_lot::Mutex;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use tokio::time::Instant;

use crate::KafkaConfig;
use crate::background::in_background;
use crate::error::Attempt;
use crate::known_topics::KnownTopics;
use crate::members::Members;
use crate::native::{Client, Code, Configuration, Failure, Kind, Observer};
use crate::unfinished::UnfinishedTransactions;
use crate::waiting::Waiting;

/// The time that a request has for its answer before it is made again.
const REQUEST: Duration = Duration::from_secs(5);

/// The state that everything that is opened on a cluster has in common.
pub(crate) struct Cluster {
    pub(crate) config: KafkaConfig,
    /// The client that looks up topics, offsets and groups.
    pub(crate) lookups: Arc<Client>,
    pub(crate) admin: OnceCell<AdminClient<DefaultClientContext>>,
    pub(crate) topics: KnownTopics,
    /// The memberships of this process. With them, a commit in a member's name uses the member's
    /// current identity.
    pub(crate) members: Members,
    pub(crate) unfinished: UnfinishedTransactions,
    /// The clients that look up and change positions of groups, by group.
    pub(crate) askers: Mutex<HashMap<String, Arc<Client>>>,
    brokers: AtomicUsize,
}

/// A value that is created when it is first needed. If that fails, the next call tries again.
pub(crate) struct OnceCell<T>(OnceLock<T>);

impl<T> OnceCell<T> {
    pub(crate) fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if self.0.get().is_none() {
            // Another thread may have been faster. Its value is used then, and this one is dropped.
            let _ = self.0.set(make()?);
        }
        Ok(self.0.get_or_init(|| unreachable!("it was set just now")))
    }
}

/// The error of the whole client that librdkafka has reported, if any.
#[derive(Default)]
struct Troubles(Mutex<Option<(Code, String)>>);

impl Observer for Troubles {
    fn error(&self, code: Code, reason: &str) {
        let mut told = self.0.lock();
        // A refusal explains the errors that follow from it, so it is kept.
        if told.as_ref().is_none_or(|(told, _)| !told.is_refused()) {
            *told = Some((code, reason.to_owned()));
        }
    }
}

impl Cluster {
    /// Connects to the cluster. Waits for it up to the patience, unless the cluster refuses this
    /// client.
    pub(crate) async fn connect(config: KafkaConfig) -> Result<Arc<Self>, BrokerError> {
        config.check().map_err(|error| BrokerError::InvalidState(error.to_string()))?;
        let troubles = Arc::new(Troubles::default());
        let configuration = Self::lookups_of(&config);
        let lookups = Client::observed(Kind::Consumer, &configuration, troubles.clone())?;
        let cluster = Arc::new(Self {
            config,
            lookups,
            admin: OnceCell(OnceLock::new()),
            topics: KnownTopics::default(),
            members: Members::default(),
            unfinished: UnfinishedTransactions::default(),
            askers: Mutex::default(),
            brokers: AtomicUsize::new(0),
        });
        let deadline = Instant::now() + cluster.config.patience;
        let mut told = Instant::now();
        loop {
            let asked = cluster.clone();
            let answer = in_background("connect", move || {
                let answer = asked.lookups.metadata(None, Duration::from_millis(1000));
                asked.lookups.serve(Duration::ZERO);
                answer
            })
            .await?;
            let trouble = troubles.0.lock().take();
            let failure = match answer {
                Ok(metadata) if !metadata.brokers.is_empty() => {
                    cluster.brokers.store(metadata.brokers.len(), Ordering::Relaxed);
                    return Ok(cluster);
                }
                Ok(_) => Failure { reason: "it has no broker yet".into(), ..Failure::of(Code::TIMED_OUT) },
                Err(failure) => failure,
            };
            let failure = match trouble {
                Some((code, reason)) if code.is_refused() => {
                    return Err(cluster.attempt("connecting").failed(&Failure { reason, ..Failure::of(code) }));
                }
                Some((_, reason)) => Failure { reason, ..failure },
                None => failure,
            };
            let reason = cluster.config.redacted(&failure.reason);
            if Instant::now() >= deadline {
                let patience = cluster.config.patience;
                return Err(BrokerError::Unavailable {
                    location: cluster.location(),
                    reason: format!("{reason}; waited {patience:?} for it: start it, or correct its address"),
                });
            }
            if told <= Instant::now() {
                tracing::warn!("waiting for {}: {reason}", cluster.location());
                told = Instant::now() + REQUEST;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn location(&self) -> String {
        format!("kafka://{}", self.config.brokers)
    }

    pub(crate) fn attempt<'a>(&'a self, doing: &'static str) -> Attempt<'a> {
        Attempt { brokers: &self.config.brokers, doing }
    }

    /// Returns the number of brokers. If the cluster does not answer, this is the last number that
    /// was seen, and at least 1. Blocks.
    pub(crate) fn brokers(&self) -> usize {
        match self.lookups.metadata(None, REQUEST) {
            Ok(metadata) if !metadata.brokers.is_empty() => {
                self.brokers.store(metadata.brokers.len(), Ordering::Relaxed);
                metadata.brokers.len()
            }
            _ => self.brokers.load(Ordering::Relaxed).max(1),
        }
    }

    pub(crate) fn lookups_configuration(&self) -> Configuration {
        Self::lookups_of(&self.config)
    }

    fn lookups_of(config: &KafkaConfig) -> Configuration {
        // Uncommitted records count too: the end of a partition is where its log ends.
        Configuration::new(config, &[]).set("isolation.level", "read_uncommitted")
    }

    /// Calls `ask` until it succeeds, it fails for good, or the patience is over. `ask` is given
    /// the time-out of one request. Blocks.
    pub(crate) fn retried<T>(
        &self,
        doing: &'static str,
        ask: impl Fn(Duration) -> Result<T, Failure>,
    ) -> Result<T, BrokerError> {
        let deadline = Instant::now() + self.config.patience;
        let mut waiting = Waiting::for_brokers(self.location(), doing);
        loop {
            match ask(REQUEST) {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.code.is_passing() && Instant::now() < deadline => {
                    tracing::debug!("{doing}: {}; trying again", failure.reason);
                    waiting.tell(&failure.reason);
                    // Some requests fail at once, for example while a coordinator is being found.
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                Err(failure) => return Err(self.attempt(doing).failed(&failure)),
            }
        }
    }

    pub(crate) fn unavailable(&self, doing: &str, error: &dyn std::fmt::Display) -> BrokerError {
        BrokerError::Unavailable {
            location: self.location(),
            reason: self.config.redacted(&format!("{doing}: {error}")),
        }
    }
}
