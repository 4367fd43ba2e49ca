//! Tests of the command line as users meet it: the example `cli_demo` runs in processes of its own.

mod backup;
#[cfg(feature = "tls")]
#[path = "../web/certificates.rs"]
mod certificates;
mod flood;
#[cfg(target_os = "linux")]
mod hanging_disk;
#[cfg(feature = "tls")]
#[path = "../web/https.rs"]
mod https;
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
