//! A shard: partition *p* of a group's topics with slice *p* of its tables, processed by one thread at a time.

mod agent;
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
