//! The embedded broker: Kafka's model inside the process, in memory or in a folder, with nothing to install.
//!
//! [`EmbeddedBroker`] implements [`marlowe_broker::Broker`]: partitions with offsets, keys, headers and timestamps, idempotent
//! and transactional producers, cooperative consumer groups, compaction, retention and fencing. It passes the same
//! conformance suite as Kafka.

#![deny(unsafe_code)]

mod batch;
mod broker;
mod catalog;
mod cleaner;
mod compaction;
mod config;
mod epoch;
mod group;
mod handle;
mod ledger;
mod outbox;
mod partition;
mod positions;
mod producer;
mod reader;
mod request;
mod staging;
mod storage;
mod topic;
mod transaction;
mod writer;

pub use broker::EmbeddedBroker;
pub use config::EmbeddedConfig;
