//! The rules of the design on Apache Kafka: the tests of the embedded broker, on another stage.
//!
//! These files stay out:
//! - `bad_input` and `data_folders` are about the embedded broker's folder.
//! - `taken_for_dead` needs sessions that are shorter than Kafka allows. On Kafka, other tests stop
//!   a worker by a signal instead.
//! - `limits` is about programs that are refused before there is a broker.
//! - `retention` and `zombie_rows` are about the embedded broker's cleaner.
//! - `system_clock` reads source files.

#[path = "../rules/answering.rs"]
mod answering;
#[path = "../rules/any_key.rs"]
mod any_key;
#[path = "../rules/asking.rs"]
mod asking;
#[path = "../rules/at_least_once.rs"]
mod at_least_once;
#[path = "../rules/atomic_events.rs"]
mod atomic_events;
#[path = "../rules/batches.rs"]
mod batches;
#[path = "../rules/bounds.rs"]
mod bounds;
#[path = "../rules/circles.rs"]
mod circles;
#[path = "../rules/commit_pace.rs"]
mod commit_pace;
#[path = "../rules/committed_reads.rs"]
mod committed_reads;
#[path = "../common/mod.rs"]
mod common;
#[path = "../rules/concurrency.rs"]
mod concurrency;
#[path = "../rules/copartition.rs"]
mod copartition;
#[path = "../rules/draining.rs"]
mod draining;
#[path = "../rules/editions.rs"]
mod editions;
#[path = "../rules/exactly_once.rs"]
mod exactly_once;
#[path = "../rules/expired.rs"]
mod expired;
#[path = "../rules/fairness.rs"]
mod fairness;
#[path = "../rules/handing_over.rs"]
mod handing_over;
#[path = "../rules/handler_clock.rs"]
mod handler_clock;
#[path = "../rules/inboxes.rs"]
mod inboxes;
#[path = "../rules/instances.rs"]
mod instances;
#[path = "../rules/keys.rs"]
mod keys;
#[path = "../rules/names.rs"]
mod names;
#[path = "../rules/no_wipe.rs"]
mod no_wipe;
#[path = "../rules/one_row.rs"]
mod one_row;
#[path = "../rules/ownership.rs"]
mod ownership;
#[path = "../rules/places.rs"]
mod places;
#[path = "../rules/poison.rs"]
mod poison;
#[path = "../rules/restoring.rs"]
mod restoring;
mod room;
#[path = "../rules/round_trips.rs"]
mod round_trips;
#[path = "../rules/scene.rs"]
mod scene;
#[path = "../rules/sending.rs"]
mod sending;
mod stage;
#[path = "../rules/streams.rs"]
mod streams;
#[path = "../rules/stuck.rs"]
mod stuck;
#[path = "../rules/take_over.rs"]
mod take_over;
#[path = "../rules/tasks.rs"]
mod tasks;
#[path = "../rules/threads.rs"]
mod threads;
#[path = "../rules/time.rs"]
mod time;
#[path = "../rules/timers.rs"]
mod timers;
#[path = "../rules/tombstone_age.rs"]
mod tombstone_age;
#[path = "../rules/tombstones.rs"]
mod tombstones;
#[path = "../rules/trimming.rs"]
mod trimming;
#[path = "../rules/tripping.rs"]
mod tripping;
#[path = "../rules/undecodable_rows.rs"]
mod undecodable_rows;
#[path = "../rules/watched.rs"]
mod watched;
