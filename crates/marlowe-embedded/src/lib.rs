//! The embedded broker: Kafka's model inside the process, in memory or in a folder, with nothing to install.
//!
//! [`EmbeddedBroker`] implements [`marlowe_broker::Broker`]: partitions with offsets, keys, headers and timestamps,
//! idempotent and transactional producers, cooperative consumer groups, compaction, retention and fencing. It passes the
//! conformance suite of `marlowe-broker`.
//!
//! In memory it starts no thread. In a folder it writes to one LMDB environment, whose transactions are synced: a commit
//! is on the disk, messages and positions together, when its future resolves; commits that wait together are written as
//! one. One process at a time has a folder open; another gets [`FolderInUse`](marlowe_broker::BrokerError::FolderInUse).
//!
//! ```
//! use marlowe_broker::{Broker, Isolation, NewRecord, Offset, Partition, TopicConfig, TopicPartition};
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
