//! librdkafka, made safe: the one place with `unsafe` code.
//!
//! What is here owns what it points to, is freed once, and keeps the client it came from alive. What it means is for the
//! floors above.

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
