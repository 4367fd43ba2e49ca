//! Tests of the command line as users meet it: the example `cli_demo` runs in processes of its own.

mod backup;
#[path = "../common/mod.rs"]
mod common;
mod flood;
#[cfg(target_os = "linux")]
mod hanging_disk;
#[cfg(feature = "kafka")]
mod kafka;
mod listings;
#[cfg(feature = "kafka")]
mod on_kafka;
mod program;
mod reset;
mod send;
mod skip;
#[cfg(feature = "tls")]
mod tls;
mod worker;
