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

/// A running cluster. Dropped, it is killed, and its folder removed.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    brokers: Vec<Broker>,
    _ports: Ports,
    /// Last, so that it is removed after the brokers have ended.
    _folder: Folder,
}

impl Cluster {
    /// Starts a cluster with new storage, and waits until all brokers answer and know each other: topics can then be
    /// created with a replica on each.
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

    /// The version of Kafka that it runs.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The brokers' addresses, for clients: `127.0.0.1:15001,127.0.0.1:15002`.
    pub fn bootstrap(&self) -> String {
        bootstrap(self.brokers.iter().map(Broker::site))
    }

    /// The brokers, in the order of their ids.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The broker with this id, from 1 on.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn broker(&self, id: i32) -> &Broker {
        let found = self.brokers.iter().find(|broker| broker.id() == id);
        found.unwrap_or_else(|| panic!("there is no broker {id}, but 1 to {}", self.brokers.len()))
    }

    /// Starts all brokers that do not run, and [waits](Cluster::wait).
    pub fn start_all(&self) -> Result<(), Error> {
        self.brokers.iter().try_for_each(Broker::launch)?;
        self.wait()
    }

    /// Stops all brokers that run, at the same time and cleanly; of several, the last may have none left to hand over to, and
    /// is killed when it has waited for one for a while.
    pub fn stop_all(&self) -> Result<(), Error> {
        let running: Vec<&Broker> = self.brokers.iter().filter(|broker| broker.is_running()).collect();
        running.iter().try_for_each(|broker| broker.ask_to_stop())?;
        match running.as_slice() {
            [alone] => alone.wait_for_end(),
            several => several.iter().try_for_each(|broker| broker.wait_or_kill(GRACE)),
        }
    }

    /// Waits until all brokers that were started, and not stopped since, answer and know each other. One that has ended by
    /// itself is an error.
    pub fn wait(&self) -> Result<(), Error> {
        let wanted: Vec<&Broker> = self.brokers.iter().filter(|broker| broker.is_wanted()).collect();
        let ids: Vec<i32> = wanted.iter().map(|broker| broker.id()).collect();
        wanted.iter().try_for_each(|broker| broker.wait(&ids))
    }

    /// The broker that leads a partition, as the first running broker knows it.
    pub fn leader(&self, topic: &str, partition: i32) -> io::Result<Option<i32>> {
        self.ask(|site| Ok(probe::metadata(site.internal(), Some((topic, partition)))?.leader))
    }

    /// The broker that coordinates a consumer group.
    pub fn group_coordinator(&self, group: &str) -> io::Result<Option<i32>> {
        self.ask(|site| probe::coordinator(site.internal(), Coordinates::Group, group))
    }

    /// The broker that coordinates a transactional id.
    pub fn transaction_coordinator(&self, transactional_id: &str) -> io::Result<Option<i32>> {
        self.ask(|site| probe::coordinator(site.internal(), Coordinates::Transaction, transactional_id))
    }

    /// Asks the brokers in turn, until one answers.
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

/// The addresses of brokers, for clients.
pub(crate) fn bootstrap<'a>(sites: impl IntoIterator<Item = &'a Site>) -> String {
    let addresses: Vec<String> = sites.into_iter().map(|site| site.address().to_string()).collect();
    addresses.join(",")
}

/// Makes the folders of the brokers, with formatted storage and properties.
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

/// The text of a broker's `server.properties`.
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

/// The users of the client listener, as Java's login configuration has them.
fn plain_login(users: &[(String, String)]) -> String {
    let mut text = String::from("org.apache.kafka.common.security.plain.PlainLoginModule required");
    for (user, password) in users {
        let password = password.replace('\\', "\\\\").replace('"', "\\\"");
        write!(text, " user_{user}=\"{password}\"").expect("writes into memory");
    }
    text + ";"
}

/// How long brokers that stop together may take to stop cleanly.
const GRACE: Duration = Duration::from_secs(20);

/// What fits tests: small, and quick to notice what is gone.
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
    // Allocated at the start.
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("metric.reporters", ""),
    ("num.io.threads", "2"),
    ("num.network.threads", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    ("transaction.state.log.num.partitions", "4"),
];
