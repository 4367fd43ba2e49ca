//! librdkafka behind safe types. This is the only module with `unsafe` code.
//!
//! Each type here owns what it points to, frees it once, and keeps the client that it came from
//! alive. How Marlowe reacts to what librdkafka reports is decided by the modules above this one.
//!
//! ```text
//! configuration ── client ─┬─ topic ── queue ── messages     reading
//!                          ├─ records, transactions          writing
//!                          ├─ group, partitions              membership and positions
//!                          └─ topic_ids                      lookups
//! observer        the events of a client, which librdkafka's callbacks report
//! known_brokers   the addresses that a client is given again when it knows no broker
//! code            error codes, and what each of them means
//! ```
//!
//! A client is created from a [`Configuration`], reports its events to an [`Observer`] while it is
//! polled or flushed, and is destroyed in another thread when it is dropped. Start reading at
//! `client`.

mod client;
mod code;
mod configuration;
mod group;
mod known_brokers;
mod messages;
mod observer;
mod partitions;
mod queue;
mod records;
mod topic;
mod topic_ids;
mod transactions;

pub(crate) use client::{Client, Kind, TopicMetadata};
pub(crate) use code::{Code, Failure, Remedy};
pub(crate) use configuration::Configuration;
pub(crate) use group::Identity;
pub(crate) use messages::{Messages, Notice};
pub(crate) use observer::{Observer, Rebalanced};
pub(crate) use partitions::{Place, Places};
pub(crate) use queue::{Arrivals, Queue, Told};
pub(crate) use topic::Topic;
