//! Marlowe is a stream-processing library with the model of Python's Faust. *Agents* process
//! *topics*, keep state in *tables* that survive failures, run *timers*, and answer questions about
//! that state over the web. Marlowe runs on Kafka. It also runs on an embedded broker, in memory or
//! in a folder, with nothing to install.
//!
//! # A program
//!
//! Two agents share a table, both count into a global table, and code outside of the agents reads
//! what is committed:
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
//!     // The event's own key: changes now, in this transaction.
//!     stock.update(event.key, |left| *left -= event.value);
//!     moved.send("pieces", event.value); // any key: merged once, by the key's owner
//!     Ok(())
//! });
//! app.agent("restock", deliveries).with((stock, moved)).each_event(async |(stock, moved), event| {
//!     stock.update(event.key, |left| *left += event.value);
//!     moved.send("pieces", event.value);
//!     Ok(())
//! });
//!
//! // From here on it runs. A program without other parts ends in `app.main()` instead, which has a
//! // command line.
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
//! Agents and partition timers that use one table form a *co-partition group*: their topics have
//! the same number of partitions. A table is stored in *slices*, one per partition. Partition *p*
//! of the topics of a group, with slice *p* of its tables, is a *shard*. (In Kafka Streams a shard
//! is a task, and a slice is the state store of a task.)
//!
//! One thread at a time processes a shard, and only the shard changes its slices. Agents and timers
//! of a shard that share a table take turns, event by event. So sharing a table needs no lock, and
//! a read-modify-write cannot lose an update.
//!
//! **A handler is a transaction.** It reads as if it ran alone, also across its `.await`s. When it
//! returns `Ok`, its writes and sends are applied together. When it fails, nothing of it is left.
//! This also holds with [`concurrency`](app::AgentBuilder::concurrency).
//!
//! # Handles
//!
//! [`Topic`], [`Table`], [`GlobalTable`] and [`Agent`] are handles. They are small and `Copy`. A
//! handler gets what it declares with `.with(...)`, opened for the place where it runs, and nothing
//! else:
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
//! | [`agent.reply_to(topic)`](agent::AnsweringAgent::reply_to) | [`RequestSender`] | [`RequestClient`] |
//!
//! Handles of the middle column send in the event's transaction. Handles of the right column send
//! at once, and a view can [wait for it](table::TableView::wait_for).
//!
//! - **Tables.** A row belongs to the partition that its key hashes to. A handler that uses a key
//!   of another partition fails with [`ForeignKey`]. The error says what to do:
//!   [`group_by`](Topic::group_by) the key, send through the [`inbox`](Table::inbox), read through
//!   a [`view`](Table::view), or declare the table [`partition_local`](Table::partition_local).
//! - **Inboxes.** A change that is sent to a table is applied once, in order, by the owner of the
//!   key. With a [`merge`](Table::merge) it is merged into the row, and several changes to one key
//!   are sent as one.
//! - **Views** read what is committed, from a snapshot and never on a shard's thread. They can
//!   return the [`Position`] at which they read.
//! - **Global tables** are tables of which every worker also has a read-only copy. Each key has one
//!   writer, so counts are exact. (Kafka Streams: `GlobalKTable`. Faust: `GlobalTable`.)
//! - **Asking.** A handler's return value is its reply. Outside of shards, an agent that
//!   [answers](Agent::answers) is asked with a deadline. An agent that asks has the reply [sent to
//!   a topic](agent::AnsweringAgent::reply_to). Another program asks, sends and reads with a
//!   [`Client`].
//! - **Timers.** A [`partition_timer`](App::partition_timer) runs in every shard of its tables and
//!   may write to them. A [`timer`](App::timer) or [`crontab`](App::crontab) runs on every worker,
//!   or on the leader. It reads and sends. A [`task`](App::task) runs once. A
//!   [`source`](App::source) feeds a topic, and resumes where it left off.
//!
//! # When something fails
//!
//! If a handler returns an error or panics, the event is tried again: three times by default, with
//! growing waits ([`retries`](app::AgentBuilder::retries),
//! [`backoff`](app::AgentBuilder::backoff)). Bytes that do not decode are not tried again.
//!
//! Then the worker stops with a report, and the event comes first when the worker starts again.
//! Instead, an agent can be declared to [`skip`](app::AgentBuilder::skip) such events, or to send
//! them to a [`dead_letter`](app::AgentBuilder::dead_letter) topic. If a timer fails, the error is
//! logged, and the timer fires again at its next time. If a task or source fails, the worker stops.
//!
//! # What is guaranteed
//!
//! Input positions, table changes and sent records are committed together, exactly once. If the app
//! is declared [`at_least_once`](App::at_least_once), records that are sent to topics are not part
//! of this: they leave as soon as their event has finished. After a crash everything is as of the
//! last commit, and the events after it are handled again. So effects of a handler outside of
//! Marlowe, such as an HTTP call, may happen more than once.
//!
//! Time and chance are inputs of a program: the [`Clock`] and the [`Entropy`] in its [`Config`]. A
//! handler reads them through [`App::clock`].
//!
//! # Where things are
//!
//! The names that every program needs are here. Each module has the rest of its subject:
//!
//! - Declaring a program: [`app`], [`topic`], [`table`], [`agent`], [`timer`], [`web`], [`codec`].
//! - Running it: [`config`], [`kafka`], [`embedded`], [`broker`], [`clock`], [`error`].
//! - From outside of it: [`client`]. The graph of what it declares: [`topology`].
//! - Tests in simulation: `sim` (feature `sim`).
//!
//! [`AgentClient`]: agent::AgentClient
//! [`AgentSender`]: agent::AgentSender
//! [`AskClient`]: agent::AskClient
//! [`Client`]: client::Client
//! [`Clock`]: clock::Clock
//! [`Entropy`]: clock::Entropy
//! [`ForeignKey`]: table::ForeignKey
//! [`GlobalClient`]: table::GlobalClient
//! [`GlobalCopy`]: table::GlobalCopy
//! [`InboxClient`]: table::InboxClient
//! [`InboxSender`]: table::InboxSender
//! [`Position`]: table::Position
//! [`RequestClient`]: agent::RequestClient
//! [`RequestSender`]: agent::RequestSender
//! [`TableSlice`]: table::TableSlice
//! [`TableView`]: table::TableView
//! [`TopicClient`]: topic::TopicClient
//! [`TopicSender`]: topic::TopicSender
#![forbid(unsafe_code)]

pub mod agent;
pub mod app;
mod backoff;
mod cli;
pub mod client;
pub mod clock;
mod cluster;
pub mod codec;
pub mod config;
mod data_folder;
pub mod error;
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
pub mod scope;
mod shard;
#[cfg(feature = "sim")]
pub mod sim;
mod standby;
pub mod table;
#[cfg(test)]
mod test_clock;
mod threads;
pub mod timer;
mod tls;
pub mod topic;
pub mod topology;
mod turn;
mod watch;
pub mod web;
mod worker;

/// The broker that a program runs on, and what names a record on it.
pub mod broker {
    pub use marlowe_broker::{Broker, BrokerError, Offset, Partition, Partitioner, Timestamp};
}

/// The embedded broker, in memory or in a folder.
pub mod embedded {
    pub use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
}

/// Apache Kafka as the broker (feature `kafka`, on by default).
#[cfg(feature = "kafka")]
pub mod kafka {
    pub use marlowe_kafka::{KafkaBroker, KafkaConfig, KafkaConfigError, KafkaSetting};
}

pub use agent::{Agent, Event};
pub use app::App;
pub use axum;
#[cfg(feature = "compact_str")]
pub use compact_str;
pub use config::Config;
pub use error::{HandlerError, RunError};
pub use running::Running;
pub use table::{GlobalTable, Table};
pub use topic::Topic;

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

#[cfg(doctest)]
#[doc = include_str!("../docs/getting-started.md")]
struct GettingStarted;

#[cfg(doctest)]
#[doc = include_str!("../docs/testing.md")]
struct Testing;
