//! Scopes: the places where a declared handle is opened.
//!
//! A program declares handles with `.with(...)`: tables, views, inboxes, topics, agents. A handle
//! is a small description. When a worker starts, or a shard is opened, the handle is opened in a
//! *scope* and becomes the object that the handler gets:
//!
//! ```text
//!  declared handle --- ShardWith::open_in_shard(ShardScope) ----> in agents and partition timers
//!                  \-- WorkerWith::open_on_worker(WorkerScope) -> in timers, tasks, web handlers
//!                  (ClientWith marks the handles that a `Client` can open on its own)
//! ```

// A `ShardScope` is one shard that is being opened. Its objects take part in the events'
// transactions, and live on one thread. A `WorkerScope` has the parts that the whole worker
// shares: its producer, its routes to all slices, its copies of global tables. (Kafka Streams: a
// `ProcessorContext`; there is one kind only.)
//
// The traits decide at compile time which handle can be used where. A `Table` is
// not `WorkerWith`, because its slice belongs to a shard.
//
// Before anything is opened, `declare` collects what each agent and timer uses as `Uses`. These
// are the edges of the dataflow graph in `topology`.
//
// Start reading in `with`, then `shard` and `worker`.

mod shard;
mod with;
mod worker;

pub(crate) use shard::{Opened, ShardScope};
pub use with::{ClientWith, ShardWith, WorkerWith};
pub(crate) use with::{Use, Uses};
pub(crate) use worker::WorkerScope;
