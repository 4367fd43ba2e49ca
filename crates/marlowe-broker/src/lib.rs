//! What Marlowe asks of a broker.
//!
//! [`Broker`] is Kafka's model with no more of it than is used: topics, a [`Reader`] of explicitly assigned partitions, a
//! [`Producer`], a [`TransactionalProducer`] that commits records and positions together, and a group [`Membership`] that
//! says who owns what. Time and chance come in through [`Clock`] and [`Entropy`].

#![forbid(unsafe_code)]

mod broker;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod membership;
mod offset;
mod partition;
mod partitioner;
mod producer;
mod reader;
mod record;
mod timestamp;
mod topic;

pub use broker::{Broker, OffsetSpec, SharedBroker};
pub use clock::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
pub use error::BrokerError;
pub use futures_core::future::BoxFuture;
pub use membership::{GroupConfig, GroupEvent, GroupMetadata, Membership, MetadataSource};
pub use offset::{CommittedOffset, Offset};
pub use partition::{Partition, TopicPartition};
pub use partitioner::Partitioner;
pub use producer::{Destination, Producer, TransactionalProducer, Written};
pub use reader::{Fetched, Isolation, Reader, RecordBatch, Source};
pub use record::{Header, NewRecord, RecordRef};
pub use timestamp::Timestamp;
pub use topic::{Cleanup, TopicConfig, TopicDescription};
