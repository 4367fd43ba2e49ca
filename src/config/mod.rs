//! The settings with which a program runs: [`Config`], its defaults and its checks.
//!
//! 1. A program fills in a [`Config`], or [`App::main`](crate::App::main) does so from the command
//!    line (`src/cli`).
//! 2. The start of the program checks it before it opens anything: numbers and times, names and
//!    tokens, and who could reach the web server.
//! 3. Then the start opens the broker, the folder and the sockets that the settings name.
//!
//! Settings with rules of their own have a file of their own in this folder. Start reading at
//! [`Config`].

mod checks;
mod tombstone_retention;
mod topic_settings;
mod web_limits;
mod web_token;

pub use crate::cluster::ClusterToken;
pub use crate::tls::WebTls;
pub(crate) use tombstone_retention::TombstoneRetention;
pub(crate) use topic_settings::TopicSettings;
pub use web_limits::WebLimits;
pub use web_token::{Role, WebToken};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Broker, Clock, Entropy, SystemClock, SystemEntropy};

use crate::cluster::Signer;
use crate::error::RunError;
use crate::host::{Host, System};
use crate::tls::Tls;

/// Kafka's name for [`Config::instance`]. It may be among the settings of the Kafka client.
#[cfg(feature = "kafka")]
pub(crate) const INSTANCE_SETTING: &str = "group.instance.id";

/// The settings of a program: its broker, the place of its data, its workers, and its limits.
///
/// ```
/// use marlowe::Config;
///
/// let mut config = Config::default().data_dir("page-views-data").workers(2);
/// config.commit_bytes = 4 << 20; // a setting without a method is set as a field
/// assert_eq!(config.workers, 2);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The broker (default: the embedded one).
    pub broker: BrokerChoice,
    /// The folder for the workers' tables, and for the embedded broker's topics (default: none;
    /// everything is kept in memory). With Kafka, tables that are missing in the folder or are
    /// behind are restored from the cluster.
    pub data_dir: Option<PathBuf>,
    /// If `true`, the program also starts when the broker in [`data_dir`](Self::data_dir) is lost
    /// or damaged (default: `false`; it does not start). Everything that is left of the folder's
    /// content is then moved to a subfolder, and the program begins without records and rows.
    pub set_aside: bool,
    /// The number of workers in this process (default: 1).
    pub workers: usize,
    /// The number of lanes of each worker (default: the machine's cores, divided among the
    /// workers). A lane is a thread that processes shards.
    pub lanes: Option<usize>,
    /// The address at which the web server listens (default: `127.0.0.1:6066`). Further workers of
    /// the process take the ports that follow. Port 0 takes a free port.
    pub web: Option<SocketAddr>,
    /// The tokens by which the web server knows its callers (default: none; everyone may read and
    /// change). With tokens, each request needs one, except for `/healthz` and `/readyz`.
    pub web_tokens: Vec<WebToken>,
    /// If `true`, the web server refuses all changes, from any caller (default: `false`).
    pub web_read_only: bool,
    /// If `true`, the web server may listen without [tokens](Self::web_tokens) where other machines
    /// can reach it (default: `false`; the program does not start).
    pub web_open: bool,
    /// More names that requests may use for a web server on the loopback (default: none). The names
    /// of the loopback and the host that is [advertised](Self::advertise) are always allowed.
    /// Requests that name another host are refused, because a page of another site can make its own
    /// name point to the loopback.
    pub web_hosts: Vec<String>,
    /// The limits of the web server: the number of connections, and the time that a client may
    /// take.
    pub web_limits: WebLimits,
    /// The longest time between two commits while events finish (default: 100 ms). A lane that has
    /// nothing else to do commits sooner, as often as [`commit_share`](Self::commit_share) allows.
    pub commit_interval: Duration,
    /// The shortest time between two commits (default: 0). If it equals
    /// [`commit_interval`](Self::commit_interval), the interval is fixed.
    pub min_commit_interval: Duration,
    /// The share of the lane's and the broker's time that commits may take, above 0 and at most 1
    /// (default: 0.1). The cost of the last commits is measured. A lower share makes commits
    /// cheaper, and what events did is visible later.
    pub commit_share: f64,
    /// The number of uncommitted bytes at which a lane commits early (default: 16 MiB). If twice as
    /// many wait while a commit is in progress, the lane's shards begin no new event until the
    /// commit is done.
    pub commit_bytes: usize,
    /// The approximate limit of bytes that are read ahead of a partition (default: 256 KiB). It is
    /// small because waiting records should still be in the processor's cache when their turn
    /// comes. The Kafka client also reads ahead on its own.
    pub queue_bytes: usize,
    /// The size of the largest record that the program sends, in bytes: key, value and headers
    /// (default: 10 MiB on the embedded broker; on Kafka the client's `message.max.bytes`, 1 MB).
    /// It also limits the rows of tables, because a row is a record of the table's changelog. A
    /// Kafka topic takes larger records only if its `max.message.bytes` is raised as well. Topics
    /// that Marlowe creates have this value.
    pub max_message_bytes: Option<usize>,
    /// The time between two trims (default: 30 s; 5 s with the embedded broker). A trim deletes
    /// records from the topics that Marlowe adds and reads once: the inboxes of tables, and the
    /// topics of a `group_by`. It deletes what all agents that read the topic have committed.
    pub trim_interval: Option<Duration>,
    /// The time that events in flight have to finish when the worker stops or a shard moves to
    /// another worker (default: 10 s).
    pub close_within: Duration,
    /// The time after which a silent worker is expelled from the group (default: 45 s).
    pub session_timeout: Duration,
    /// The time after which a slow handler is warned about (default: 10 s). The warning is repeated
    /// each time that the time has doubled. This covers an event in flight, a run of a timer, and
    /// anything that blocks a thread. The gauge `marlowe_handler_seconds` shows the longest on each
    /// thread.
    pub stuck_after: Duration,
    /// The time after which a worker with something still in flight is not ready (default: 5
    /// minutes; `None` for never). `/readyz` then says what is stuck.
    pub unready_after: Option<Duration>,
    /// The worker's name in its group (default: none; a new member each time). It must be unique
    /// among all running workers. A worker that comes back under its name within the session
    /// timeout gets its shards back, and nothing moves in the meantime. So a restart causes no
    /// rebalance. With several workers, each is called `NAME-number`.
    pub instance: Option<String>,
    /// The URL at which other workers find this one: `http://HOST:PORT` (default: where the web
    /// server listens). Further workers of the process take the ports that follow. Without a port,
    /// workers are found at the ports where they listen.
    pub advertise: Option<String>,
    /// A secret that all workers of the app share (default: none). With it, workers sign their
    /// requests to each other, and answer only requests that are signed. The secret itself is never
    /// sent. The workers' clocks may differ by up to 30 s.
    pub cluster_token: Option<ClusterToken>,
    /// The certificate of the web server, and the certificates of other workers that it trusts
    /// (default: none; the web server speaks plain HTTP).
    pub web_tls: Option<WebTls>,
    /// The number of standbys of each shard (default: 0). A standby is a worker that follows the
    /// tables of a shard of another worker. It can take the shard over at once, and it answers
    /// [reads](crate::table::TableView::stale_within) that may be slightly stale. All workers of
    /// the app must have the same setting.
    pub standby_replicas: usize,
    /// The time for which the changelogs that the program creates keep tombstones: Kafka's
    /// `delete.retention.ms` (default: one week). A store of tables that was away for longer is
    /// rebuilt, because it may have missed the removal of rows.
    pub tombstone_retention: Duration,
    /// The clock (default: the system's).
    pub clock: Arc<dyn Clock>,
    /// The source of randomness (default: the system's).
    pub entropy: Arc<dyn Entropy>,
    pub(crate) host: Arc<dyn Host>,
}

/// The broker that a program runs on.
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
            min_commit_interval: Duration::ZERO,
            commit_share: 0.1,
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
    /// Returns the number of lanes of each worker.
    pub(crate) fn lanes_per_worker(&self) -> usize {
        let cores = self.host.cores();
        self.lanes.unwrap_or((cores / self.workers.max(1)).max(1))
    }

    /// Returns the time between two trims.
    pub(crate) fn trim_interval(&self) -> Duration {
        self.trim_interval.unwrap_or(match self.broker {
            BrokerChoice::Embedded => Duration::from_secs(5),
            _ => Duration::from_secs(30),
        })
    }

    /// Returns the name that the process keeps over restarts, if it has one.
    pub(crate) fn instance_name(&self) -> Option<&str> {
        match &self.broker {
            #[cfg(feature = "kafka")]
            BrokerChoice::Kafka(kafka) => {
                self.instance.as_deref().or(kafka.settings.get(INSTANCE_SETTING).map(String::as_str))
            }
            _ => self.instance.as_deref(),
        }
    }

    /// Returns the signer of requests to other workers, if there is a secret.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        self.cluster_token.clone().map(|token| Signer { token, clock, entropy })
    }

    /// Reads the certificates, if there are any.
    pub(crate) fn tls(&self) -> Result<Option<Arc<Tls>>, RunError> {
        self.web_tls.as_ref().map(Tls::load).transpose()
    }

    /// Returns the name of worker `number`: from its instance, or else a random name for this run.
    pub(crate) fn worker_name(&self, number: usize) -> String {
        match self.instance_name() {
            Some(instance) if self.workers == 1 => instance.to_owned(),
            Some(instance) => format!("{instance}-{number}"),
            None => format!("{:08x}-{number}", self.entropy.next() as u32),
        }
    }

    /// Runs on a Kafka cluster. The default is the embedded broker.
    #[cfg(feature = "kafka")]
    pub fn kafka(mut self, kafka: marlowe_kafka::KafkaConfig) -> Self {
        self.broker = BrokerChoice::Kafka(kafka);
        self
    }

    /// Runs on a broker that the program opened itself. The default is the embedded broker.
    pub fn broker(mut self, broker: Arc<dyn Broker>) -> Self {
        self.broker = BrokerChoice::Custom(broker);
        self
    }

    /// Keeps the embedded broker's topics and the workers' tables in `folder`; see
    /// [`data_dir`](field@Self::data_dir).
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Runs `workers` workers in this process (default: 1).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Gives each worker `lanes` lanes; see [`lanes`](field@Self::lanes).
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Listens for web requests at `address`; see [`web`](field@Self::web).
    pub fn web(mut self, address: SocketAddr) -> Self {
        self.web = Some(address);
        self
    }

    /// Runs without a web server.
    pub fn without_web(mut self) -> Self {
        self.web = None;
        self
    }

    /// Adds a token whose callers may use the web server; see [`web_tokens`](Self::web_tokens).
    pub fn web_token(mut self, token: impl Into<WebToken>) -> Self {
        self.web_tokens.push(token.into());
        self
    }

    /// Refuses all changes over the web; see [`web_read_only`](field@Self::web_read_only).
    pub fn web_read_only(mut self) -> Self {
        self.web_read_only = true;
        self
    }

    /// Allows the web server to listen without tokens where other machines can reach it; see
    /// [`web_open`](field@Self::web_open).
    pub fn web_open(mut self) -> Self {
        self.web_open = true;
        self
    }

    /// Allows requests to use this name of the web server; see [`web_hosts`](Self::web_hosts).
    pub fn web_host(mut self, name: impl Into<String>) -> Self {
        self.web_hosts.push(name.into());
        self
    }

    /// Limits the open connections of each worker's web server to `connections`; see
    /// [`WebLimits::connections`].
    pub fn web_connections(mut self, connections: usize) -> Self {
        self.web_limits.connections = Some(connections);
        self
    }

    /// Sets the longest time between two commits (default: 100 ms); see
    /// [`commit_interval`](Self::commit_interval).
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = interval;
        self
    }

    /// Sets the shortest time between two commits (default: 0).
    pub fn min_commit_interval(mut self, interval: Duration) -> Self {
        self.min_commit_interval = interval;
        self
    }

    /// Commits at a fixed interval, however much or little there is to do.
    pub fn fixed_commit_interval(self, interval: Duration) -> Self {
        self.commit_interval(interval).min_commit_interval(interval)
    }

    /// Returns the settings with which topics are created.
    pub(crate) fn topic_settings(&self) -> TopicSettings {
        TopicSettings { tombstone_retention: self.tombstone_retention, max_message_bytes: self.max_message_bytes }
    }

    /// Limits the records that the program sends to `bytes` bytes; see
    /// [`max_message_bytes`](field@Self::max_message_bytes).
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = Some(bytes);
        self
    }

    /// Expels a worker that is silent for `timeout` (default: 45 s).
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// Tells other workers to find this one at `url`; see [`advertise`](field@Self::advertise).
    pub fn advertise(mut self, url: impl Into<String>) -> Self {
        self.advertise = Some(url.into());
        self
    }

    /// Keeps `replicas` standbys of each shard; see
    /// [`standby_replicas`](field@Self::standby_replicas).
    pub fn standby_replicas(mut self, replicas: usize) -> Self {
        self.standby_replicas = replicas;
        self
    }

    /// Uses HTTPS; see [`web_tls`](field@Self::web_tls).
    pub fn web_tls(mut self, tls: WebTls) -> Self {
        self.web_tls = Some(tls);
        self
    }

    /// Shares a secret with the other workers; see [`cluster_token`](field@Self::cluster_token).
    pub fn cluster_token(mut self, token: impl Into<ClusterToken>) -> Self {
        self.cluster_token = Some(token.into());
        self
    }

    /// Sets the worker's name in its group; see [`instance`](field@Self::instance).
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }
}
