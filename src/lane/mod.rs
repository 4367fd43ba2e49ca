//! A lane: a thread that processes shards, and commits what they did.

mod command;
mod commit;
mod committing;
mod event_loop;
mod in_flight;
mod input_reader;
mod pending_closes;
mod pending_firings;
mod producer;
mod settings;
mod watchdog;

pub(crate) use command::{Dropped, LaneCommand, LaneEvent};
pub(crate) use event_loop::{Lane, thread_name};
pub(crate) use in_flight::InFlight;
pub(crate) use settings::{LaneLimits, LaneSettings};
pub(crate) use watchdog::{Patience, TIMERS, Watchdog};
