//! The traits and types through which Marlowe uses a broker, and the suite that checks an
//! implementation of them.
//!
//! A broker keeps *topics*. A topic is a log of records, divided into *partitions*. A record has a
//! place in its partition, the [`Offset`], and may have a key. Producers choose a record's
//! partition from its key with a [`Partitioner`]. Consumers form *groups*. A group shares out
//! partitions among its members and commits a position in each of them. This is Kafka's model,
//! reduced to what Marlowe uses:
//!
//! | trait | what it does |
//! |---|---|
//! | [`Broker`] | creates topics, looks up offsets and positions of groups, opens the others |
//! | [`Reader`] | reads partitions that are assigned to it one by one, from any offset |
//! | [`Producer`] | writes records, each once and in order |
//! | [`TransactionalProducer`] | makes records and positions visible together, or not at all |
//! | [`Membership`] | tells a member of a group which partitions it owns; it reads no records |
//!
//! Owning a partition and reading it are separate. A slow handler therefore never costs a worker
//! its membership, and each reader continues from a position that its caller knows. Time and
//! randomness come in through [`Clock`] and [`Entropy`], so that a test can control both.
//!
//! Start reading at [`Broker`]. A worker uses the traits in this order:
//!
//! 1. It joins a group. [`Membership::next`] tells it which partitions it owns.
//! 2. It asks for the positions of those partitions ([`Broker::committed`]) and assigns them to a
//!    [`Reader`].
//! 3. It processes the records that [`Reader::poll`] returns, and commits results and positions in
//!    one transaction.
//! 4. When a partition is revoked, it commits and closes the work there, then calls
//!    [`Membership::acknowledge`]. Only then does the partition move to its next owner.
//!
//! `marlowe-embedded` and `marlowe-kafka` implement these traits. The suite in `conformance`
//! (feature `conformance`) checks what every implementation must do. [`pass_on!`] helps to write a
//! broker that stands before another one and changes or watches some of its calls. A
//! [`RecordArena`] keeps copies of records until they are sent.
//!
//! ```
//! use marlowe_broker::{Partition, Partitioner};
//!
//! // Kafka's own clients compute the same partition for this key.
//! let home = Partitioner::Murmur2.partition(b"ada", 8);
//! assert!(home < Partition::new(8));
//! ```

#![forbid(unsafe_code)]

mod broker;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod layer;
mod membership;
mod offset;
mod partition;
mod partitioner;
mod producer;
mod reader;
mod reads;
mod record;
mod record_arena;
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
pub use record_arena::RecordArena;
pub use timestamp::Timestamp;
pub use topic::{Cleanup, TopicConfig, TopicDescription, Turnover};
