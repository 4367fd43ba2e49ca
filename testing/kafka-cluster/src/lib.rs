//! Real Apache Kafka on the loopback, for tests: clusters of one or three brokers.
//!
//! The clusters run KRaft, and each broker is also a controller. A test can stop, kill and pause
//! brokers, and start them again. `cargo xtask kafka` keeps a cluster that outlives the command.
//!
//! A JDK (17 or later), Maven and `sh` are needed. Maven downloads each version of Kafka once, into
//! `target/kafka`. The version is [`Version::chosen`], unless the configuration names one.
//!
//! ```no_run
//! use kafka_cluster::{Cluster, ClusterConfig};
//!
//! # fn main() -> Result<(), kafka_cluster::Error> {
//! let cluster = Cluster::start(ClusterConfig::three())?;
//! println!("{}", cluster.bootstrap());
//! cluster.broker(2).kill()?;
//! cluster.broker(2).start()?;
//! # Ok(())
//! # }
//! ```
//!
//! A cluster ends when its [`Cluster`] is dropped. At the latest, it ends with the process that
//! started it, also when that process is killed.
//!
//! # What happens at the start
//! 1. `release` has Maven download Kafka, and has Kafka's storage tool format a template of a
//!    storage.
//! 2. `folder` creates a folder for the cluster, and `ports` reserves three ports for each broker.
//! 3. `cluster` writes the `server.properties` of each broker, and `storage` copies the template.
//! 4. `process` starts each broker under a small shell, which kills it when this process ends.
//! 5. `probe` asks each broker until it answers and knows the others.
//!
//! # Where to start reading
//! [`Cluster`] is the cluster of one test, and [`Broker`] is one of its brokers. [`shared()`] is a
//! cluster that all tests of a process share. [`Standing`] is a cluster that stays until it is
//! stopped.

#![forbid(unsafe_code)]
// This crate waits for real processes, so it uses real time.
#![allow(clippy::disallowed_methods)]

mod broker;
mod cluster;
mod config;
mod error;
mod folder;
mod ports;
mod probe;
mod process;
mod release;
mod shared;
mod standing;
mod storage;
mod version;

pub use broker::Broker;
pub use cluster::Cluster;
pub use config::{ClusterConfig, Size};
pub use error::Error;
pub use release::Release;
pub use shared::shared;
pub use standing::{BrokerStatus, Data, Standing};
pub use version::Version;
