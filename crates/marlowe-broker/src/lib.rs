//! What Marlowe asks of a broker.
//!
//! A broker keeps *topics*: logs of records, in *partitions*. A record has its place in a partition, its [`Offset`], and
//! a key, which decides the partition by a [`Partitioner`]. Consumers form *groups*, which share out partitions among
//! their members and keep a position in each. [`Broker`] is this model, Kafka's, with no more of it than is used:
//!
//! | trait | what it does |
//! |---|---|
//! | [`Broker`] | creates and describes topics, tells offsets and groups' positions, opens the others |
//! | [`Reader`] | reads partitions that it is assigned one by one, from any offset |
//! | [`Producer`] | writes records, each once and in order |
//! | [`TransactionalProducer`] | makes records and positions visible together, or not at all |
//! | [`Membership`] | tells a member of a group which partitions are its own; it reads none of them |
//!
//! To own a partition and to read it are two things here: a slow handler never costs the membership, and each reader goes
//! on from a position that it knows. Time and chance come in through [`Clock`] and [`Entropy`].
//!
//! The implementations are `marlowe-embedded` and `marlowe-kafka`. What any must do is checked by the suite in `conformance`
//! (feature `conformance`).
//!
//! ```
//! use marlowe_broker::{Partition, Partitioner};
//!
//! // A key's home, as Kafka's own clients find it.
//! let home = Partitioner::Murmur2.partition(b"ada", 8);
//! assert!(home < Partition::new(8));
//! ```

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
mod reads;
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
pub use reads::{Reads, Unread};
pub use record::{Header, NewRecord, RecordLimit, RecordRef};
pub use timestamp::Timestamp;
pub use topic::{Cleanup, TopicConfig, TopicDescription, Turnover};
