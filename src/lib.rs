//! Marlowe is a stream-processing library with the model of Python's Faust: *agents* process *topics*, keep state in
//! *tables* that survive failure, run *timers*, and answer questions about that state over the web. It runs on
//! Kafka, and on an embedded broker, in memory or in a folder, with nothing to install.
//!
//! # A program
//!
//! Two agents share a table, everyone counts into a global one, and the world outside reads what is committed:
//!
//! ```
//! use marlowe::{App, Config};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut app = App::new("shop");
//! let sales = app.topic::<String, i64>("sales"); // by item: pieces
//! let deliveries = app.topic::<String, i64>("deliveries");
//! let stock = app.table::<String, i64>("stock");
//! let moved = app.global_table::<String, i64>("moved").merge(|total, more| *total += more);
//!
//! app.agent("sell", sales).with((stock, moved)).each_event(async |(stock, moved), event| {
//!     stock.update(event.key, |left| *left -= event.value); // its own key: now, in this transaction
//!     moved.send("pieces", event.value); // any key: merged in once, by its owner
//!     Ok(())
//! });
//! app.agent("restock", deliveries).with((stock, moved)).each_event(async |(stock, moved), event| {
//!     stock.update(event.key, |left| *left += event.value);
//!     moved.send("pieces", event.value);
//!     Ok(())
//! });
//!
//! // From here on it runs. A program that is all Marlowe ends in `app.main()` instead, which has a command line.
//! let mut running = app.start(Config::default().without_web()).await?;
//! running.ready().await?;
//! running.open(deliveries).send(&"tea".to_owned(), &100).await?;
//! running.open(sales).send(&"tea".to_owned(), &3).await?;
//! running.drain().await?;
//!
//! assert_eq!(running.open(stock.view()).get("tea").await?, Some(97));
//! assert_eq!(running.open(moved).get("pieces"), Some(103));
//! running.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # A shard is the only writer of its slice
//!
//! Agents and partition timers that use one table are a *co-partition group*: their topics have the same number of
//! partitions. Partition *p* of those topics, with slice *p* of their tables, is a *shard*. A shard is processed by one
//! thread at a time, and it alone changes its slices: agents and timers that share a table take turns, event by event. So
//! sharing a table needs no lock, and a read-modify-write cannot lose an update.
//!
//! **A handler is a transaction.** What it reads is as if it ran alone, also across its `.await`s. What it writes and
//! sends applies when it returns `Ok`, all together; when it fails, nothing of it is left. With
//! [`concurrency`](AgentBuilder::concurrency) too.
//!
//! # Handles
//!
//! [`Topic`], [`Table`], [`GlobalTable`] and [`Agent`] are small and `Copy`. A handler gets what it declares with
//! `.with(...)`, opened for where it runs, and nothing else:
//!
//! | declared | in an agent or partition timer | in a timer, task or web handler |
//! |---|---|---|
//! | [`Table`] | [`TableSlice`]: reads and writes | does not compile |
//! | [`table.view()`](Table::view) | [`TableView`]: committed reads of any key | [`TableView`] |
//! | [`table.inbox()`](Table::inbox) | [`InboxSender`]: changes to any key | [`InboxClient`] |
//! | [`GlobalTable`] | [`GlobalCopy`]: local reads, changes to any key | [`GlobalClient`] |
//! | [`Topic`] | [`TopicSender`] | [`TopicClient`] |
//! | [`Agent`] | [`AgentSender`] | [`AgentClient`] |
//! | [agent that answers](Agent::answers) | [`AgentSender`] | [`AskClient`]: asks and waits |
//! | [`agent.reply_to(topic)`](AnsweringAgent::reply_to) | [`RequestSender`] | [`RequestClient`] |
//!
//! What the middle column sends is part of the event's transaction. What the right one sends is on its own, and a view
//! can [wait for it](TableView::wait_for).
//!
//! - **Tables.** A row belongs to the partition that its key hashes to. A handler that uses a key of another one fails
//!   with [`ForeignKey`], which says what to do: [`group_by`](Topic::group_by) the key, send through the
//!   [`inbox`](Table::inbox), read through a [`view`](Table::view), or declare the table
//!   [`partition_local`](Table::partition_local).
//! - **Inboxes.** A change that is sent to a table is applied once, in order, by the owner of the key. With a
//!   [`merge`](Table::merge) it is merged into the row, and changes to one key travel together.
//! - **Views** read what is committed, from a snapshot, never on a shard's thread, and can tell the [`Position`] that
//!   they read at.
//! - **Global tables** are tables of which every worker has a read-only copy besides. One writer per key, so counts are
//!   exact.
//! - **Asking.** What a handler returns is its reply. From outside of shards an agent that [answers](Agent::answers) is
//!   asked with a deadline; an agent has the reply [sent to a topic](AnsweringAgent::reply_to). Another program asks, sends and
//!   reads with a [`Client`].
//! - **Timers.** A [`partition_timer`](App::partition_timer) runs in every shard of its tables and may write. A
//!   [`timer`](App::timer) or [`crontab`](App::crontab) runs on every worker, or on the leader; it reads and sends. A
//!   [`task`](App::task) runs once; a [`source`](App::source) feeds a topic and resumes where it was.
//!
//! # When something fails
//!
//! A handler that returns an error or panics is tried again: three times, with growing waits
//! ([`retries`](AgentBuilder::retries), [`backoff`](AgentBuilder::backoff)). Bytes that do not decode are not tried
//! again. Then the worker stops with a report, and the event comes first when it starts again; or the agent is declared
//! to [`skip`](AgentBuilder::skip) such events or to send them to a [`dead_letter`](AgentBuilder::dead_letter) topic. A
//! timer that fails is logged and fires again in its time. A task or source that fails stops the worker.
//!
//! # What is guaranteed
//!
//! Input positions, table changes and what was sent are committed together: [exactly once](Guarantee), unless the app
//! is declared [`at_least_once`](App::at_least_once). After a crash all is as of the last commit, and the events after
//! it are handled again. So what a handler does outside Marlowe, such as an HTTP call, may be done more than once.
//!
//! Time and chance are inputs: a [`Clock`] and an [`Entropy`] in the [`Config`].
#![forbid(unsafe_code)]

mod agent;
mod app;
mod cli;
mod client;
mod cluster;
pub mod codec;
mod config;
mod data_folder;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod interrupt;
mod lane;
mod limits;
mod metrics;
mod outbound;
mod panic_place;
mod panics;
mod peer;
mod plain;
mod prepare;
mod program;
mod query;
mod restore;
mod running;
mod scope;
mod shard;
#[cfg(feature = "sim")]
pub mod sim;
mod standby;
mod table;
mod threads;
mod timer;
mod tls;
mod topic;
mod topology;
mod turn;
mod watch;
mod web;
mod worker;

pub use agent::{
    Agent, AgentClient, AgentSender, AnsweringAgent, AskClient, Enumerate, Event, Events, Filtered, Items,
    PendingReply, Replies, ReplyTo, RequestClient, RequestSender, WholeEvents,
};
pub use app::AgentBuilder;
pub use app::App;
pub use app::{PartitionTimerBuilder, SourceBuilder, TaskBuilder, TimerBuilder};
pub use axum;
pub use client::Client;
pub use cluster::ClusterToken;
pub use codec::KeyTooLong;
#[cfg(feature = "compact_str")]
pub use compact_str;
pub use config::{BrokerChoice, Config, Role, WebLimits, WebToken};
pub use error::EventFailure;
pub use error::RunError;
pub use marlowe_broker::{
    Broker, BrokerError, Clock, Entropy, Offset, Partition, Partitioner, SeededEntropy, Timestamp,
};
pub use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
#[cfg(feature = "kafka")]
pub use marlowe_kafka::{KafkaBroker, KafkaConfig, KafkaConfigError, KafkaSetting};
pub use marlowe_state::MAX_KEY_BYTES;
pub use outbound::{AskError, SendError, Sent};
pub use program::Guarantee;
pub use running::Running;
pub use scope::{ClientWith, ShardWith, WorkerWith};
pub use table::{
    AsKey, ForeignKey, GlobalClient, GlobalCopy, GlobalReader, GlobalTable, Inbox, InboxClient, InboxSender, Position,
    Read, SliceIter, Table, TableSlice, TableView, UndecodableRow, UndecodableRows, View, ViewError,
};
pub use timer::{SourceError, SourceWriter};
pub use tls::WebTls;
pub use topic::{IntoStream, ProducerRecord, Stream, Topic, TopicClient, TopicSender};
pub use topology::TableKind;
pub use topology::{TopologyDescription, TopologyError};
pub use web::{Caller, Forwarded, OwnerOf, RouteToOwner, RoutedToOwner, WebState};

/// Why a handler failed: any error; `?` makes one of most.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// The programs of the guides, as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/sharing-a-table.md")]
struct SharingATable;

#[cfg(doctest)]
#[doc = include_str!("../docs/from-faust.md")]
struct FromFaust;

#[cfg(doctest)]
#[doc = include_str!("../docs/recipes.md")]
struct Recipes;
