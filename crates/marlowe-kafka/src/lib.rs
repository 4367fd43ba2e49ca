//! Marlowe on Apache Kafka, through librdkafka.
//!
//! [`KafkaBroker`] is Marlowe's `Broker` on a cluster of Kafka 2.5 or later, because it needs
//! KIP-447. It is tested with Kafka 4.
//!
//! | part of the trait | here |
//! |---|---|
//! | a reader | a consumer without a group; each partition has a queue, from which messages are taken in batches |
//! | a membership | a consumer of its own that fetches nothing, with a thread that polls it |
//! | a producer | idempotent; records are kept until the flush, which a thread carries out |
//! | a transactional producer | records are kept until the commit, which a thread carries out; a transaction that fails for a reason that passes is made again |
//!
//! Calls that block run in threads of their own, so nothing here blocks an async runtime.
//!
//! # The modules
//! ```text
//! broker                  the trait; each call goes to one of the modules below
//! ├─ cluster              the shared state; topics, offsets, deletions and tries add operations
//! ├─ reader               takes batches from the queues of partitions
//! ├─ membership           the program's side of a membership
//! │  └─ poll_thread       its thread; uses subscription, members, assignment, fencing_history
//! ├─ producer             flushes with a writer
//! └─ transactional        the program's side of a transactional producer
//!    └─ transaction       its thread's side; uses writer, positions, unfinished
//! native                  librdkafka behind safe types; the only unsafe code
//! ```
//!
//! # What happens in a worker
//! 1. [`KafkaBroker::connect`] checks the settings and waits until a broker answers.
//! 2. A membership joins the group, and reports which partitions it is assigned, must give up, or
//!    has lost.
//! 3. A reader fetches the partitions that the program gives it.
//! 4. A transactional producer keeps the records that are sent and the positions. A commit hands
//!    them to librdkafka in one transaction.
//!
//! Start reading at `cluster`. The hard parts are `transaction` (retries, fencing and sequence
//! numbers), `unfinished` (hanging transactions), `members` (missed rebalances) and
//! `native::client` (purge before destroy).

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
mod feed;
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
mod reader_clients;
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
