//! Tests of a worker's web server, over real sockets.

mod access;
#[cfg(feature = "tls")]
mod certificates;
mod changes;
mod client;
mod connection;
#[path = "../cluster/held.rs"]
mod held;
#[cfg(feature = "tls")]
mod https;
mod limits;
mod numbers;
mod pages;
mod program;
mod readiness;
mod routes;
mod rows;
#[cfg(feature = "tls")]
mod tls;
