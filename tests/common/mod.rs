//! The harness of the integration tests. A test binary includes it by
//! `#[path = "../common/mod.rs"] mod common;`, or by `mod common;` if it is a single file.
//!
//! - `wait` waits for something within a time limit. `worker` starts and ends workers within it.
//! - `client` asks a worker's web server, and `metrics` reads what that server counts. `https` and
//!   `certificates` are for servers with TLS. `address` has the addresses to listen on.
//! - `records` reads what is committed in a topic.
//! - `process` runs a program as a process, on top of `child`. `example` runs the examples of this
//!   repository.
//! - `clock` has a clock that a test sets, and `text` checks messages.
//!
//! Nothing here chooses a broker. A binary that needs one has a `scene` for that: an empty broker,
//! settings of workers that use it, and access to its topics.

#![allow(dead_code, reason = "each test binary includes the whole harness and uses a part of it")]

pub(crate) mod address;
#[cfg(feature = "tls")]
pub(crate) mod certificates;
pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod example;
#[cfg(feature = "tls")]
pub(crate) mod https;
pub(crate) mod metrics;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod text;
pub(crate) mod wait;
pub(crate) mod worker;

/// The result of a test, or of a function that a test calls.
pub(crate) type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;
