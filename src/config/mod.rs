//! The settings with which a program is run.

mod tombstone_retention;
mod topic_settings;
mod web_limits;
mod web_token;

pub(crate) use tombstone_retention::TombstoneRetention;
pub(crate) use topic_settings::TopicSettings;
pub use web_limits::WebLimits;
pub use web_token::{Role, WebToken};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Broker, Clock, Entropy, SystemClock, SystemEntropy};

use crate::cluster::{ClusterToken, Signer};
use crate::error::RunError;
use crate::host::{Host, System};
use crate::limits::{DAY, MOST_THREADS, SHORTEST, wrong_interval};
use crate::tls::{Tls, WebTls};

/// Kafka's name of [`Config::instance`], which may be among its settings.
#[cfg(feature = "kafka")]
pub(crate) const INSTANCE_SETTING: &str = "group.instance.id";

/// How a program is run: where its broker and its data are, how many workers there are, and what bounds them.
///
/// ```
/// use marlowe::Config;
///
/// let mut config = Config::default().data_dir("page-views-data").workers(2);
/// config.commit_bytes = 4 << 20; // what has no method of its own is a field
/// assert_eq!(config.workers, 2);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The broker (default: the embedded one).
    pub broker: BrokerChoice,
    /// The folder for the workers' tables, and for the embedded broker's topics (default: none, all is kept in memory).
    /// With Kafka, tables that are not there, or are behind, are restored from the cluster.
    pub data_dir: Option<PathBuf>,
    /// What becomes of a [`data_dir`](Self::data_dir) whose broker is lost or damaged (default: false, the program does not
    /// start): all that is left is moved to a folder of its own below it, and the program begins without records and rows.
    pub set_aside: bool,
    /// How many workers run in this process (default: 1).
    pub workers: usize,
    /// How many lanes, which are threads that process shards, a worker has (default: the machine's cores, shared among
    /// the workers).
    pub lanes: Option<usize>,
    /// Where the web server listens (default: `127.0.0.1:6066`). Further workers of the process take the ports that
    /// follow; port 0 takes a free one.
    pub web: Option<SocketAddr>,
    /// The tokens by which callers of the web server are known (default: none, and everyone may ask and change). With tokens, each
    /// request needs one, but for `/healthz` and `/readyz`.
    pub web_tokens: Vec<WebToken>,
    /// Whether the web server takes no changes, whoever sends them (default: false).
    pub web_read_only: bool,
    /// Whether the web server may listen where other machines reach it without [tokens](Self::web_tokens) (default: false, the
    /// program does not start).
    pub web_open: bool,
    /// Names under which the web server is asked besides those of the loopback, where it listens on that (default: none; what is
    /// [advertised](Self::advertise) counts, too). Requests that name another host are refused: a page of another site can have its
    /// own name lead to the loopback.
    pub web_hosts: Vec<String>,
    /// What bounds the web server: connections, and how long a client may take.
    pub web_limits: WebLimits,
    /// The time between two commits (default: 100 ms).
    pub commit_interval: Duration,
    /// A lane commits before its time when so many bytes wait for it (default: 16 MiB). If twice as many wait while a
    /// commit is under way, its shards begin no new event until that is done.
    pub commit_bytes: usize,
    /// A partition is read ahead by at most about so many bytes (default: 256 KiB, for what waits should still be in the
    /// processor's cache when its turn comes; the Kafka client reads ahead besides).
    pub queue_bytes: usize,
    /// The largest record that the program sends, in bytes: key, value and headers (default: 10 MiB on the embedded broker, and
    /// on Kafka the client's `message.max.bytes`, 1 MB). A row of a table is a record of its changelog, so it bounds rows, too.
    /// A Kafka topic takes larger records only if its `max.message.bytes` is raised as well: topics that Marlowe creates have
    /// this.
    pub max_message_bytes: Option<usize>,
    /// The time between two trims of the topics that Marlowe itself keeps and reads once (default: 30 s; 5 s with the
    /// embedded broker): what all agents that read a table's inbox, or the topic of a `group_by`, have committed is deleted
    /// there.
    pub trim_interval: Option<Duration>,
    /// How long events in hand may take to finish when the worker stops or a shard goes to another (default: 10 s).
    pub close_within: Duration,
    /// A worker that is silent for this long is taken for dead (default: 45 s).
    pub session_timeout: Duration,
    /// A handler that has been at work for this long is warned about, and again each time that has doubled (default: 10 s): an
    /// event in hand, a run of a timer, or anything that blocks a thread. The gauge `marlowe_handler_seconds` tells the longest
    /// of each thread.
    pub stuck_after: Duration,
    /// A worker that has had something in hand for this long is not ready, and `/readyz` says what it is (default: 5 minutes;
    /// `None` for never).
    pub unready_after: Option<Duration>,
    /// The worker's name in its group, of its own among all that run (default: none, a new member each time). A worker that
    /// comes back under its name within the session gets what it had, and nothing moves meanwhile: a restart costs no
    /// rebalance. With several workers, each is called `NAME-number`.
    pub instance: Option<String>,
    /// Where other workers find this one: `http://HOST:PORT` (default: where the web server listens). Further workers of the
    /// process take the ports that follow; without a port they are found where they listen.
    pub advertise: Option<String>,
    /// A secret that all workers of the app share (default: none). Workers then sign what they ask each other, and answer only what
    /// is signed so; the secret itself never travels. Their clocks may differ by 30 s.
    pub cluster_token: Option<ClusterToken>,
    /// The certificates of the web server, and those of other workers that are trusted (default: none; the web server speaks plain
    /// HTTP).
    pub web_tls: Option<WebTls>,
    /// How many workers stand by for each shard (default: 0). A standby follows the tables of a shard that another worker owns,
    /// so that it can take the shard over at once, and answers [reads](crate::TableView::stale_within) that may be a little
    /// stale. To be the same for all workers of the app.
    pub standby_replicas: usize,
    /// For how long the changelogs that the program creates keep tombstones: Kafka's `delete.retention.ms` (default: a week). A
    /// store of tables that was away for longer is rebuilt, because it cannot learn of all rows that were removed meanwhile.
    pub tombstone_retention: Duration,
    /// Where the time comes from (default: the system).
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from (default: the system).
    pub entropy: Arc<dyn Entropy>,
    pub(crate) host: Arc<dyn Host>,
}

/// Which broker a program runs on.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum BrokerChoice {
    /// The embedded broker: in memory, or in [`Config::data_dir`].
    #[default]
    Embedded,
    /// A Kafka cluster.
    #[cfg(feature = "kafka")]
    Kafka(marlowe_kafka::KafkaConfig),
    /// A broker that the program opened itself.
    Custom(Arc<dyn Broker>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            broker: BrokerChoice::Embedded,
            data_dir: None,
            set_aside: false,
            workers: 1,
            lanes: None,
            web: Some(SocketAddr::from(([127, 0, 0, 1], 6066))),
            web_tokens: Vec::new(),
            web_read_only: false,
            web_open: false,
            web_hosts: Vec::new(),
            web_limits: WebLimits::default(),
            commit_interval: Duration::from_millis(100),
            commit_bytes: 16 << 20,
            queue_bytes: 256 << 10,
            max_message_bytes: None,
            trim_interval: None,
            close_within: Duration::from_secs(10),
            session_timeout: Duration::from_secs(45),
            stuck_after: Duration::from_secs(10),
            unready_after: Some(Duration::from_secs(300)),
            instance: None,
            advertise: None,
            cluster_token: None,
            web_tls: None,
            standby_replicas: 0,
            tombstone_retention: TombstoneRetention::DEFAULT,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            host: Arc::new(System),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("workers", &self.workers)
            .field("lanes", &self.lanes)
            .field("web", &self.web)
            .field("commit_interval", &self.commit_interval)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// How many lanes each worker has.
    pub(crate) fn lanes_per_worker(&self) -> usize {
        let cores = self.host.cores();
        self.lanes.unwrap_or((cores / self.workers.max(1)).max(1))
    }

    /// The time between two trims.
    pub(crate) fn trim_interval(&self) -> Duration {
        self.trim_interval.unwrap_or(match self.broker {
            BrokerChoice::Embedded => Duration::from_secs(5),
            _ => Duration::from_secs(30),
        })
    }

    /// That numbers and times can be meant.
    pub(crate) fn check_bounds(&self) -> Result<(), RunError> {
        let intervals = [
            ("commit_interval", self.commit_interval),
            ("session_timeout", self.session_timeout),
            ("trim_interval", self.trim_interval()),
            ("web_limits.headers", self.web_limits.headers),
            ("web_limits.body", self.web_limits.body),
            ("web_limits.write", self.web_limits.write),
            ("web_limits.idle", self.web_limits.idle),
            // To wait for nothing that is in hand can be meant.
            ("close_within", self.close_within.max(SHORTEST)),
        ];
        let wrong = intervals
            .iter()
            .find_map(|(name, interval)| wrong_interval(*interval, DAY).map(|reason| format!("{name}: {reason}")));
        let counts = [
            ("workers", self.workers, MOST_THREADS),
            ("lanes", self.lanes.unwrap_or(1), MOST_THREADS),
            ("commit_bytes", self.commit_bytes, usize::MAX),
            ("queue_bytes", self.queue_bytes, usize::MAX),
            ("web_limits.connections", self.web_limits.connections.unwrap_or(1), usize::MAX),
        ];
        let wrong = wrong.or_else(|| {
            let (name, count, most) = counts.iter().find(|(_, count, most)| *count == 0 || count > most)?;
            let use_instead = if *most == usize::MAX { "at least 1".to_owned() } else { format!("1 to {most}") };
            Some(format!("{name}: {count} cannot be: use {use_instead}"))
        });
        wrong.map_or(Ok(()), |wrong| Err(RunError::Settings(wrong)))
    }

    /// The name that lasts, if the process has one.
    pub(crate) fn instance_name(&self) -> Option<&str> {
        match &self.broker {
            #[cfg(feature = "kafka")]
            BrokerChoice::Kafka(kafka) => {
                self.instance.as_deref().or(kafka.settings.get(INSTANCE_SETTING).map(String::as_str))
            }
            _ => self.instance.as_deref(),
        }
    }

    /// That the name that lasts can be one.
    pub(crate) fn check_instance(&self) -> Result<(), RunError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match self.instance_name() {
            Some(name) if name.is_empty() || name.len() > 200 || !name.chars().all(fits) => Err(RunError::Settings(
                format!("instance `{name}` cannot be a name: use 1 to 200 letters, digits, `.`, `_` and `-`"),
            )),
            _ => Ok(()),
        }
    }

    /// Returns what signs requests to other workers, where there is a secret.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        self.cluster_token.clone().map(|token| Signer { token, clock, entropy })
    }

    /// Reads the certificates, where there are to be any.
    pub(crate) fn tls(&self) -> Result<Option<Arc<Tls>>, RunError> {
        self.web_tls.as_ref().map(Tls::load).transpose()
    }

    /// That the secret can be said.
    pub(crate) fn check_token(&self) -> Result<(), RunError> {
        match &self.cluster_token {
            Some(token) if !token.is_valid() => Err(RunError::Settings(
                "the cluster token is no word: use letters, digits and signs of ASCII, and no blanks".into(),
            )),
            _ => Ok(()),
        }
    }

    /// Checks that the tokens can be said, and that workers which need a secret of their own have one.
    fn check_web_tokens(&self) -> Result<(), RunError> {
        let tokens = &self.web_tokens;
        if tokens.iter().any(|token| !token.is_valid()) {
            return Err(RunError::Settings(
                "a web token cannot stand in a header: use letters, digits and signs of ASCII, and no blanks".into(),
            ));
        }
        let several = self.workers > 1 || self.standby_replicas > 0 || self.advertise.is_some();
        if !tokens.is_empty() && self.web.is_some() && several && self.cluster_token.is_none() {
            return Err(RunError::Settings(
                "with web tokens, workers need a secret of their own to ask each other: give all of the app's workers the same \
                 --cluster-token (or MARLOWE_CLUSTER_TOKEN)"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Checks who may reach and ask the web server.
    pub(crate) fn check_web(&self) -> Result<(), RunError> {
        self.check_web_tokens()?;
        match self.web {
            Some(address) if !address.ip().to_canonical().is_loopback() && self.web_tokens.is_empty() && !self.web_open => {
                Err(RunError::Web {
                    address: address.to_string(),
                    reason: "other machines reach it there, and it would answer everyone: give callers a token (--web-token, or \
                             MARLOWE_WEB_TOKEN), listen on the loopback (--web 127.0.0.1:6066), or say that everyone may ask and \
                             change (--web-open)"
                        .into(),
                })
            }
            _ => Ok(()),
        }
    }

    /// What worker `number` is called: by its instance, or else by a name of this run.
    pub(crate) fn worker_name(&self, number: usize) -> String {
        match self.instance_name() {
            Some(instance) if self.workers == 1 => instance.to_owned(),
            Some(instance) => format!("{instance}-{number}"),
            None => format!("{:08x}-{number}", self.entropy.next() as u32),
        }
    }

    /// Runs on a Kafka cluster.
    #[cfg(feature = "kafka")]
    pub fn kafka(mut self, kafka: marlowe_kafka::KafkaConfig) -> Self {
        self.broker = BrokerChoice::Kafka(kafka);
        self
    }

    /// Runs on a broker that the program opened itself.
    pub fn broker(mut self, broker: Arc<dyn Broker>) -> Self {
        self.broker = BrokerChoice::Custom(broker);
        self
    }

    /// Keeps the embedded broker's topics and the workers' tables in a folder.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Runs so many workers in this process.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Gives each worker so many lanes.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Listens for the web there.
    pub fn web(mut self, address: SocketAddr) -> Self {
        self.web = Some(address);
        self
    }

    /// Has no web server.
    pub fn without_web(mut self) -> Self {
        self.web = None;
        self
    }

    /// Lets callers ask the web server who say this token; see [`web_tokens`](Self::web_tokens).
    pub fn web_token(mut self, token: impl Into<WebToken>) -> Self {
        self.web_tokens.push(token.into());
        self
    }

    /// Takes no changes over the web; see [`web_read_only`](field@Self::web_read_only).
    pub fn web_read_only(mut self) -> Self {
        self.web_read_only = true;
        self
    }

    /// Listens without tokens where other machines reach it; see [`web_open`](field@Self::web_open).
    pub fn web_open(mut self) -> Self {
        self.web_open = true;
        self
    }

    /// Is asked under this name, too; see [`web_hosts`](Self::web_hosts).
    pub fn web_host(mut self, name: impl Into<String>) -> Self {
        self.web_hosts.push(name.into());
        self
    }

    /// Has at most so many connections open at a time; see [`WebLimits::connections`].
    pub fn web_connections(mut self, connections: usize) -> Self {
        self.web_limits.connections = Some(connections);
        self
    }

    /// Commits so often.
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = interval;
        self
    }

    /// Returns the settings that topics are created with.
    pub(crate) fn topic_settings(&self) -> TopicSettings {
        TopicSettings { tombstone_retention: self.tombstone_retention, max_message_bytes: self.max_message_bytes }
    }

    /// Sends records of at most this many bytes; see [`max_message_bytes`](Self::max_message_bytes).
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = Some(bytes);
        self
    }

    /// Takes a worker for dead that is silent for so long.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// Is found by other workers there; see [`advertise`](Self::advertise).
    pub fn advertise(mut self, url: impl Into<String>) -> Self {
        self.advertise = Some(url.into());
        self
    }

    /// Has so many workers stand by for each shard; see [`standby_replicas`](Self::standby_replicas).
    pub fn standby_replicas(mut self, replicas: usize) -> Self {
        self.standby_replicas = replicas;
        self
    }

    /// Speaks HTTPS; see [`web_tls`](Self::web_tls).
    pub fn web_tls(mut self, tls: WebTls) -> Self {
        self.web_tls = Some(tls);
        self
    }

    /// Shares a secret with the other workers; see [`cluster_token`](Self::cluster_token).
    pub fn cluster_token(mut self, token: impl Into<ClusterToken>) -> Self {
        self.cluster_token = Some(token.into());
        self
    }

    /// Is known to its group by this name; see [`instance`](Self::instance).
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }
}
