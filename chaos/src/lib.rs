//! A program of all the shapes that matter runs as three processes on three brokers, while workers are killed, stopped past
//! their session and restarted, with and without their folders, and brokers are bounced. Afterwards everything is counted
//! again from the input: nothing may be lost, nothing there twice, and no row wrong.
//!
//! `cargo xtask chaos --minutes N --seed S` runs it.

#![forbid(unsafe_code)]
// It is about real processes, which live in real time.
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

/// What goes wrong with the run itself, for people.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
