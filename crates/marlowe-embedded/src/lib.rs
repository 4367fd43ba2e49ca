//! The embedded broker: Kafka's model inside the process, in memory or in a folder, with nothing to
//! install.
//!
//! [`EmbeddedBroker`] implements [`marlowe_broker::Broker`]: partitions with offsets, keys, headers
//! and timestamps, idempotent and transactional producers, cooperative consumer groups, log
//! compaction, retention and fencing. It passes the conformance suite of `marlowe-broker`.
//!
//! In memory, the broker starts no thread. In a folder, it writes to one LMDB environment and syncs
//! every LMDB transaction. When the future of a commit resolves, its records and positions are on
//! the disk together. Commits that wait at the same time are written as one. One process at a time
//! can have a folder open. Another process gets
//! [`FolderInUse`](marlowe_broker::BrokerError::FolderInUse).
//!
//! ```
//! use marlowe_broker::{
//!     Broker, Isolation, NewRecord, Offset, Partition, TopicConfig, TopicPartition,
//! };
//! use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), marlowe_broker::BrokerError> {
//! let broker = EmbeddedBroker::in_memory(EmbeddedConfig::default());
//! broker.create_topic(TopicConfig::new("words", 1)).await?;
//! let words = TopicPartition::new("words", Partition::new(0));
//!
//! let mut producer = broker.producer()?;
//! let to = producer.destination(&words)?;
//! let (key, value) = (Some(b"key".as_slice()), Some(b"value".as_slice()));
//! producer.send(to, NewRecord { timestamp: Default::default(), key, value, headers: &[] })?;
//! producer.flush().await?;
//!
//! let mut reader = broker.reader(Isolation::ReadCommitted)?;
//! reader.assign(&words, Offset::ZERO)?;
//! let fetched = reader.poll().await?;
//! assert_eq!(fetched[0].batch.get(0).value, value);
//! # Ok(())
//! # }
//! ```
//!
//! # Inside
//!
//! A write passes through these modules:
//!
//! ```text
//! producer, transaction   stage records as batches (outbox, staging, batch)
//!         |
//!         v
//! handle                  in memory: carries out the request at once
//!         |               in a folder: queues it for the thread that writes (writer)
//!         v
//! ledger                  checks the request (epoch, group), gives records their offsets,
//!         |               stores the change, and then shows it to readers
//!         v
//! storage                 keeps batches in memory, or in a folder
//! ```
//!
//! After a write, the ledger has `cleaner` do a bounded amount of retention and compaction in the
//! partitions that were written to. A `reader` finds batches in the storage, and waits at its
//! partitions until there are more. Start reading at `ledger`.

#![deny(unsafe_code)]

mod batch;
mod broker;
mod catalog;
mod cleaner;
mod cleaning_context;
mod compaction;
mod config;
mod declared;
mod epoch;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
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
