//! Marlowe on Apache Kafka, through librdkafka.
//!
//! [`KafkaBroker`] is Marlowe's `Broker` on a cluster of Kafka 2.5 or later (KIP-447; Kafka 4 is what is tested).
//!
//! | of the trait | here |
//! |---|---|
//! | a reader | a consumer without a group, a queue per partition, messages taken in batches |
//! | a membership | a consumer of its own, with a thread; it fetches nothing |
//! | a producer | idempotent; what is sent is kept until the flush, which a thread carries out |
//! | a transactional producer | the same; a transaction that fails for a reason that passes is made again |
//!
//! What blocks runs in threads of its own, so nothing here keeps an async runtime from its work.

#![deny(unsafe_code)]

mod assignment;
mod background;
mod batch;
mod broker;
mod cluster;
mod config;
mod deletions;
mod destinations;
mod error;
mod fencing_history;
mod known_topics;
mod members;
mod membership;
#[allow(unsafe_code)]
mod native;
mod offsets;
mod outgoing;
mod poll_liveness;
mod poll_thread;
mod positions;
mod producer;
mod reader;
mod subscription;
mod topics;
mod transaction;
mod transactional;
mod tries;
mod unfinished;
mod waiting;
mod writer;

pub use broker::KafkaBroker;
pub use config::{KafkaConfig, KafkaConfigError, KafkaSetting};
