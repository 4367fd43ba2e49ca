//! A shard: partition *p* of all topics of a co-partition group, with slice *p* of the group's
//! tables. One thread processes it at a time, and it is the only writer of its slices. In Kafka
//! Streams a shard is a task, and a *slice* is the state store of a task. Faust has no word for a
//! shard; its tables have partitions.
//!
//! # The life of a shard
//!
//! ```text
//!  restore: store and positions are known ──► ShardPlan
//!                                               │ ShardPlan::open, in a lane
//!                                               ▼
//!                   Shard (what the lane holds)   ShardTask (the work, polled by the lane)
//!                                                   │ one StrandTask per strand
//!                                                   ▼
//!                                        grants the turn to a timer that is due,
//!                                        or to the agent with the oldest event
//! ```
//!
//! 1. `inputs` says where the agents go on, and `open` opens tables, agents and timers there.
//! 2. `strands` sorts agents and timers into strands, by the tables that they use. (`turn` defines
//!    strand, turn and transaction slot.)
//! 3. `task` lets each strand go on in turn, and `strand_task` decides which agent or timer has the
//!    strand's turn.
//! 4. The lane commits. `committed_places` says which positions changed since the last commit.
//! 5. When the shard must close, no new events are begun. `ShardTask` ends when nothing is in hand
//!    any more.
//!
//! # Places
//!
//! A *place* is the position of one agent in one input: the offset of its next event. A consumer
//! group has only one position per partition, however many agents read it, and Kafka's coordinator
//! can hand out positions of minutes ago after its brokers were killed. So each shard keeps the
//! places of its agents in a log of its own, partition *p* of `{app}-{group}-positions`. (Kafka
//! Streams and Faust have only the group's positions.)
//!
//! Each commit in which an agent moved writes one record with all places, in the transaction of the
//! state. The record is thus never behind the state and never ahead of it. When the shard is
//! opened, the later of the group's position and the place in the log counts for each agent
//! (`place_of`).
//!
//! # Where to start reading
//!
//! Read `open.rs`, then `task.rs` and `strand_task.rs`. For positions read `places.rs`, then
//! `positions.rs` and `committed_places.rs`.

mod committed_places;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod id;
mod in_hand;
mod inputs;
mod open;
mod open_shard;
mod places;
mod positions;
mod strand_task;
mod strands;
mod task;

pub(crate) use committed_places::NewPlaces;
pub(crate) use id::ShardId;
pub(crate) use in_hand::{HeldBy, ShardInHand, StrandInHand};
pub(crate) use inputs::{Expired, InputStart, ShardInputs};
pub(crate) use open::ShardPlan;
pub(crate) use open_shard::Shard;
pub(crate) use places::{InputPlaces, Places, place_of};
pub(crate) use positions::GroupPosition;
