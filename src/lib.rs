//! Marlowe: stream processing on Kafka in Faust's model.
#![forbid(unsafe_code)]

mod agent;
mod app;
mod cli;
mod client;
pub mod codec;
mod config;
mod interrupt;
mod program;
mod running;
mod scope;
mod shard;
mod table;
mod timer;
mod topic;
mod topology;
mod turn;
mod web;
mod worker;

pub use agent::{
    Agent, AgentBuilder, AgentClient, AgentSender, Enumerate, Event, EventFailure, Events, Filtered, Items, WholeEvents,
};
pub use app::App;
pub use axum;
pub use client::{SendError, Sent};
pub use config::{BrokerChoice, Config};
pub use marlowe_broker::{
    Broker, BrokerError, Clock, Entropy, Offset, Partition, Partitioner, SeededEntropy, Timestamp,
};
pub use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
pub use program::Guarantee;
pub use running::Running;
pub use scope::{ShardWith, WorkerWith};
pub use table::{
    AsKey, ForeignKey, GlobalClient, GlobalCopy, GlobalReader, GlobalTable, Inbox, InboxClient, InboxSender, Position,
    Read, SliceIter, Table, TableKind, TableSlice, TableView, View, ViewError,
};
pub use timer::{PartitionTimerBuilder, SourceBuilder, SourceError, SourceWriter, TaskBuilder, TimerBuilder};
pub use topic::{IntoStream, Stream, Topic, TopicClient, TopicSender};
pub use topology::{TopologyDescription, TopologyError};
pub use web::WebState;
pub use worker::RunError;

/// Why a handler failed: any error; `?` makes one of most.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;
