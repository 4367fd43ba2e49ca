//! Chaos tests: a program with agents, tables and timers in all combinations that matter runs as
//! three processes on three brokers. Workers are killed, paused past their session and restarted,
//! with and without their folders, and brokers are bounced. Afterwards everything is counted again
//! from the input: nothing may be lost, nothing may be there twice, and no row may be wrong.
//!
//! `cargo xtask chaos --minutes N --seed S` runs it.

#![forbid(unsafe_code)]
// This crate controls real processes, so it uses the real clock.
#![allow(clippy::disallowed_methods)]

pub mod brokers;
pub mod chance;
pub mod contents;
pub mod copies;
pub mod crew;
pub mod flights;
pub mod input;
pub mod program;
pub mod recount;
pub mod report;
pub mod scenario;
pub mod verdict;
pub mod worker;

/// The result of a step. The error is a failure of the run itself, as a text for people.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
