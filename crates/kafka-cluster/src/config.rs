use std::collections::BTreeMap;

use crate::version::Version;

/// How many brokers a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One broker; internal topics have one replica.
    One,
    /// Three brokers; internal topics have three replicas, of which two must be in sync.
    Three,
}

impl Size {
    /// The number of brokers.
    pub fn brokers(self) -> usize {
        match self {
            Size::One => 1,
            Size::Three => 3,
        }
    }
}

/// What the JVM's compiler is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compiles {
    Quickly,
    Well,
}

/// What a cluster is like.
///
/// By default it is made for tests: short sessions are allowed (from half a second), groups do not wait for more members,
/// transactions that time out are aborted at once, topics are not created by themselves.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    pub(crate) size: Size,
    /// `None`: the one that the environment chooses.
    pub(crate) version: Option<Version>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) users: Vec<(String, String)>,
    pub(crate) heap_megabytes: u32,
    pub(crate) compiles: Compiles,
}

impl ClusterConfig {
    /// A cluster of this size.
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

    /// One broker.
    pub fn one() -> ClusterConfig {
        ClusterConfig::new(Size::One)
    }

    /// Three brokers.
    pub fn three() -> ClusterConfig {
        ClusterConfig::new(Size::Three)
    }

    /// Sets the version of Kafka, in place of [`Version::chosen`].
    pub fn version(mut self, version: Version) -> ClusterConfig {
        self.version = Some(version);
        self
    }

    /// Sets a property of `server.properties` on all brokers, in place of the default.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> ClusterConfig {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Clients must log in with SASL PLAIN (`security.protocol=SASL_PLAINTEXT`), as this user or another one that was
    /// added. Without any user, clients need not log in.
    pub fn sasl_plain(mut self, user: impl Into<String>, password: impl Into<String>) -> ClusterConfig {
        self.users.push((user.into(), password.into()));
        self
    }

    /// For a cluster that has much to do, as in a benchmark, or that stays: the JVM compiles for speed, which costs time
    /// at first, and the heap is 1 GiB.
    pub fn long_running(mut self) -> ClusterConfig {
        self.compiles = Compiles::Well;
        self.heap_megabytes(1024)
    }

    /// The heap of each broker, 256 MiB by default.
    pub fn heap_megabytes(mut self, megabytes: u32) -> ClusterConfig {
        self.heap_megabytes = megabytes;
        self
    }
}
