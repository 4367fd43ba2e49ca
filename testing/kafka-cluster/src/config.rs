//! The configuration of a cluster: its size, version, broker properties, users and JVM.

use std::collections::BTreeMap;

use crate::version::Version;

/// The number of brokers of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One broker; internal topics have one replica.
    One,
    /// Three brokers; internal topics have three replicas, of which two must be in sync.
    Three,
}

impl Size {
    /// Returns the number of brokers.
    pub fn brokers(self) -> usize {
        match self {
            Size::One => 1,
            Size::Three => 3,
        }
    }
}

/// The goal of the JVM's compiler: a short start, or fast code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compiles {
    Quickly,
    Well,
}

/// The configuration of a cluster.
///
/// The defaults suit tests: sessions may be as short as half a second, groups do not wait for more
/// members before the first rebalance, transactions are aborted within half a second of their
/// time-out, and topics are not created automatically.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    pub(crate) size: Size,
    /// The version, or `None` for the version that the environment chooses.
    pub(crate) version: Option<Version>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) users: Vec<(String, String)>,
    pub(crate) heap_megabytes: u32,
    pub(crate) compiles: Compiles,
}

impl ClusterConfig {
    /// Creates the configuration of a cluster of this size, with the defaults.
    pub fn new(size: Size) -> ClusterConfig {
        ClusterConfig {
            size,
            version: None,
            properties: BTreeMap::new(),
            users: Vec::new(),
            heap_megabytes: 256,
            compiles: Compiles::Quickly,
        }
    }

    /// Creates the configuration of a cluster of one broker.
    pub fn one() -> ClusterConfig {
        ClusterConfig::new(Size::One)
    }

    /// Creates the configuration of a cluster of three brokers.
    pub fn three() -> ClusterConfig {
        ClusterConfig::new(Size::Three)
    }

    /// Sets the version of Kafka. The default is [`Version::chosen`].
    pub fn version(mut self, version: Version) -> ClusterConfig {
        self.version = Some(version);
        self
    }

    /// Sets a property of `server.properties` on all brokers. It replaces the property's default.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> ClusterConfig {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Adds a user of SASL PLAIN. Clients must then log in (`security.protocol=SASL_PLAINTEXT`) as
    /// one of the users that were added. Without users, clients need not log in.
    pub fn sasl_plain(mut self, user: impl Into<String>, password: impl Into<String>) -> ClusterConfig {
        self.users.push((user.into(), password.into()));
        self
    }

    /// Prepares the JVM for a cluster that runs for long or has much to do, as in a benchmark. The
    /// JVM compiles for speed, which costs time at the start, and the heap is 1 GiB.
    pub fn long_running(mut self) -> ClusterConfig {
        self.compiles = Compiles::Well;
        self.heap_megabytes(1024)
    }

    /// Sets the heap of each broker, in MiB. The default is 256.
    pub fn heap_megabytes(mut self, megabytes: u32) -> ClusterConfig {
        self.heap_megabytes = megabytes;
        self
    }
}
