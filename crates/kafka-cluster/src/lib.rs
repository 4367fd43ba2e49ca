//! Real Apache Kafka on the loopback: clusters of one or three brokers (KRaft, each broker a controller too) that a test
//! starts, and stops, kills, pauses and starts again, and the cluster that `cargo xtask kafka` keeps.
//!
//! Kafka comes through Maven, once for each version, into `target/kafka`. Needed are a JDK (17 or later), Maven, and `sh`.
//! The version is [`Version::chosen`] unless the configuration names one.
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
//! A cluster ends with its [`Cluster`], and at the latest with the process that started it, however that ends.

#![forbid(unsafe_code)]
// This crate is about real processes, which live in real time.
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
