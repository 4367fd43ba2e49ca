//! The rules of the design, each with tests that fail without what upholds it, on the embedded broker.

mod answering;
mod asking;
mod at_least_once;
mod atomic_events;
mod bad_input;
mod bounds;
#[allow(dead_code, reason = "these tests only get")]
#[path = "../web/client.rs"]
mod client;
mod committed_reads;
mod concurrency;
mod copartition;
mod draining;
mod editions;
mod exactly_once;
mod handing_over;
mod inboxes;
mod instances;
mod no_wipe;
mod one_row;
mod ownership;
mod restoring;
mod scene;
mod sending;
mod stage;
mod streams;
mod system_clock;
mod take_over;
mod taken_for_dead;
mod tasks;
mod time;
mod timers;
#[path = "../waits/mod.rs"]
mod waits;
mod watched;
