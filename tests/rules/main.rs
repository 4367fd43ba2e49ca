//! The rules of the design on the embedded broker. The tests of a rule fail without the code that
//! upholds it.

mod answering;
mod any_key;
mod asking;
mod at_least_once;
mod atomic_events;
mod bad_input;
mod batches;
mod bounds;
mod circles;
#[allow(dead_code, reason = "these tests only get")]
#[path = "../web/client.rs"]
mod client;
mod committed_reads;
mod concurrency;
mod copartition;
mod data_folders;
mod draining;
mod editions;
mod exactly_once;
mod expired;
mod fairness;
mod handing_over;
mod inboxes;
mod instances;
mod keys;
mod limits;
mod names;
mod no_wipe;
mod one_row;
mod ownership;
mod places;
mod poison;
mod restoring;
mod retention;
mod round_trips;
mod scene;
mod sending;
mod stage;
mod streams;
mod stuck;
mod system_clock;
mod take_over;
mod taken_for_dead;
mod tasks;
mod threads;
mod time;
mod timers;
mod tombstone_age;
mod tombstones;
mod trimming;
mod tripping;
mod undecodable_rows;
#[path = "../waits/mod.rs"]
mod waits;
mod watched;
mod zombie_rows;
