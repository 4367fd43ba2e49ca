//! The command line, as people meet it: an example program in processes of its own.

mod backup;
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
mod worker;
