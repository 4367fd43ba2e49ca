//! A running cluster, and the folders and `server.properties` of its brokers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::broker::{Broker, Site};
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::probe::{self, Coordinates};
use crate::release::Release;
use crate::storage;
use crate::version::Version;

/// A running cluster. Dropping it kills its brokers and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    brokers: Vec<Broker>,
    _ports: Ports,
    /// The last field, so that the folder is removed after the brokers have ended.
    _folder: Folder,
}

impl Cluster {
    /// Starts a cluster with new storage, and waits until all brokers answer and know each other.
    /// After that, topics can be created with a replica on each broker.
    ///
    /// # Errors
    /// When Kafka cannot be installed, no ports are free, a file cannot be written, or a broker
    /// does not start. Each has its own [`Error`].
    pub fn start(config: ClusterConfig) -> Result<Cluster, Error> {
        let release = Release::install(&config.version.clone().map_or_else(Version::chosen, Ok)?)?;
        let folder = Folder::new()?;
        let ports = Ports::take(3 * config.size.brokers())?;
        let sites = lay_out(&config, &release, folder.path(), ports.numbers())?;
        let brokers = sites.into_iter().map(|site| Broker::new(site, &release, &config)).collect();
        let cluster = Cluster { version: release.version().clone(), brokers, _ports: ports, _folder: folder };
        cluster.start_all()?;
        Ok(cluster)
    }

    /// Returns the version of Kafka that the brokers run.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns the brokers' addresses for clients, separated by commas:
    /// `127.0.0.1:15001,127.0.0.1:15002`.
    pub fn bootstrap(&self) -> String {
        bootstrap(self.brokers.iter().map(Broker::site))
    }

    /// Returns the brokers, ordered by their ids.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// Returns the broker with this id. Ids start at 1.
    ///
    /// # Panics
    /// When the cluster has no broker with this id.
    pub fn broker(&self, id: i32) -> &Broker {
        let found = self.brokers.iter().find(|broker| broker.id() == id);
        found.unwrap_or_else(|| panic!("there is no broker {id}, but 1 to {}", self.brokers.len()))
    }

    /// Starts all brokers that do not run, and [waits](Cluster::wait) for the cluster.
    ///
    /// # Errors
    /// Those of [`Broker::launch`] and [`wait`](Cluster::wait).
    pub fn start_all(&self) -> Result<(), Error> {
        self.brokers.iter().try_for_each(Broker::launch)?;
        self.wait()
    }

    /// Stops all running brokers cleanly and at the same time.
    ///
    /// A stopping broker hands its partitions over to another broker. When several brokers stop
    /// together, the last one may find no broker to hand over to. So this waits at most 20 s for
    /// each of several brokers, and then kills it. A broker that runs alone has two minutes.
    ///
    /// # Errors
    /// [`Error::NotStopped`] when a broker that runs alone does not end in time, and
    /// [`Error::Process`] when a process cannot be signalled or waited for.
    pub fn stop_all(&self) -> Result<(), Error> {
        let running: Vec<&Broker> = self.brokers.iter().filter(|broker| broker.is_running()).collect();
        running.iter().try_for_each(|broker| broker.ask_to_stop())?;
        match running.as_slice() {
            [alone] => alone.wait_for_end(),
            several => several.iter().try_for_each(|broker| broker.wait_or_kill(GRACE)),
        }
    }

    /// Waits until all brokers that were started, and were not stopped since, answer and know each
    /// other.
    ///
    /// # Errors
    /// [`Error::Ended`] when a broker has ended by itself, [`Error::Program`] when there is no
    /// `java`, [`Error::NotReady`] when a broker is not ready within two minutes, and
    /// [`Error::Process`] when a process cannot be waited for.
    pub fn wait(&self) -> Result<(), Error> {
        let wanted: Vec<&Broker> = self.brokers.iter().filter(|broker| broker.is_wanted()).collect();
        let ids: Vec<i32> = wanted.iter().map(|broker| broker.id()).collect();
        wanted.iter().try_for_each(|broker| broker.wait(&ids))
    }

    /// Returns the id of the broker that leads a partition, or `None` while it has no leader. The
    /// first running broker that answers is asked.
    ///
    /// # Errors
    /// When no broker runs, or none of them answers.
    pub fn leader(&self, topic: &str, partition: i32) -> io::Result<Option<i32>> {
        self.ask(|site| Ok(probe::metadata(site.internal(), Some((topic, partition)))?.leader))
    }

    /// Returns the id of the broker that coordinates a consumer group, or `None` while there is
    /// none.
    ///
    /// # Errors
    /// As for [`leader`](Cluster::leader).
    pub fn group_coordinator(&self, group: &str) -> io::Result<Option<i32>> {
        self.ask(|site| probe::coordinator(site.internal(), Coordinates::Group, group))
    }

    /// Returns the id of the transaction coordinator of a transactional id, or `None` while there
    /// is none.
    ///
    /// # Errors
    /// As for [`leader`](Cluster::leader).
    pub fn transaction_coordinator(&self, transactional_id: &str) -> io::Result<Option<i32>> {
        self.ask(|site| probe::coordinator(site.internal(), Coordinates::Transaction, transactional_id))
    }

    /// Asks the running brokers in turn, until one answers.
    fn ask<T>(&self, question: impl Fn(&Site) -> io::Result<T>) -> io::Result<T> {
        let mut answer = Err(io::Error::other("no broker runs"));
        for broker in self.brokers.iter().filter(|broker| broker.is_running()) {
            answer = question(broker.site());
            if answer.is_ok() {
                break;
            }
        }
        answer
    }
}

/// Returns the brokers' addresses for clients, separated by commas.
pub(crate) fn bootstrap<'a>(sites: impl IntoIterator<Item = &'a Site>) -> String {
    let addresses: Vec<String> = sites.into_iter().map(|site| site.address().to_string()).collect();
    addresses.join(",")
}

/// Creates the folders of the brokers, with formatted storage and `server.properties`.
pub(crate) fn lay_out(
    config: &ClusterConfig,
    release: &Release,
    folder: &Path,
    ports: &[u16],
) -> Result<Vec<Site>, Error> {
    let cluster_id = storage::id();
    let site = |(ports, id): (&[u16], i32)| Site {
        id,
        ports: [ports[0], ports[1], ports[2]],
        folder: folder.join(format!("broker-{id}")),
    };
    let sites: Vec<Site> = ports.chunks_exact(3).zip(1..).map(site).collect();
    for site in &sites {
        let data = site.folder.join("data");
        storage::format(release, &data, &cluster_id, site.id)?;
        let path = site.properties();
        fs::write(&path, properties(config, site, &sites, &data)).map_err(Error::file("write", &path))?;
    }
    Ok(sites)
}

/// Returns the text of a broker's `server.properties`.
fn properties(config: &ClusterConfig, site: &Site, sites: &[Site], data: &Path) -> String {
    let [client, internal, controller] = site.ports;
    let voters: Vec<String> = sites.iter().map(|site| format!("{}@127.0.0.1:{}", site.id, site.ports[2])).collect();
    let listeners = format!("CLIENT://127.0.0.1:{client},INTERNAL://127.0.0.1:{internal}");
    let client_protocol = if config.users.is_empty() { "PLAINTEXT" } else { "SASL_PLAINTEXT" };
    let replicas = config.size.brokers().to_string();
    let in_sync = replicas.parse::<usize>().map_or(1, |replicas| replicas.div_ceil(2)).to_string();
    let own = [
        ("process.roles", "broker,controller".into()),
        ("node.id", site.id.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".into()),
        ("inter.broker.listener.name", "INTERNAL".into()),
        ("listeners", format!("{listeners},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", listeners),
        ("listener.security.protocol.map", format!("CLIENT:{client_protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT")),
        ("log.dirs", data.display().to_string()),
        ("default.replication.factor", replicas.clone()),
        ("min.insync.replicas", in_sync.clone()),
        ("offsets.topic.replication.factor", replicas.clone()),
        ("transaction.state.log.replication.factor", replicas.clone()),
        ("transaction.state.log.min.isr", in_sync.clone()),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ];
    let mut all: BTreeMap<&str, String> = DEFAULTS.iter().map(|(name, value)| (*name, (*value).into())).collect();
    all.extend(own);
    if !config.users.is_empty() {
        all.insert("listener.name.client.sasl.enabled.mechanisms", "PLAIN".into());
        all.insert("listener.name.client.plain.sasl.jaas.config", plain_login(&config.users));
    }
    all.extend(config.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut text = String::new();
    for (name, value) in all {
        let value = value.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(text, "{name}={value}").expect("writes into memory");
    }
    text
}

/// Returns the users of the client listener in the format of Java's login configuration.
fn plain_login(users: &[(String, String)]) -> String {
    let mut text = String::from("org.apache.kafka.common.security.plain.PlainLoginModule required");
    for (user, password) in users {
        let password = password.replace('\\', "\\\\").replace('"', "\\\"");
        write!(text, " user_{user}=\"{password}\"").expect("writes into memory");
    }
    text + ";"
}

/// The time that each of several brokers that stop together has to stop cleanly.
const GRACE: Duration = Duration::from_secs(20);

/// Settings that suit tests: the brokers are small, and soon notice when a broker or a member is
/// lost.
const DEFAULTS: &[(&str, &str)] = &[
    ("auto.create.topics.enable", "false"),
    ("background.threads", "2"),
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "3000"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.min.session.timeout.ms", "500"),
    ("group.consumer.session.timeout.ms", "4000"),
    ("group.coordinator.threads", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "500"),
    ("log.cleaner.backoff.ms", "1000"),
    // This buffer is allocated when the broker starts.
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("metric.reporters", ""),
    ("num.io.threads", "2"),
    ("num.network.threads", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("transaction.state.log.num.partitions", "4"),
];
