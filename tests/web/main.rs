//! Tests of a worker's web server, over real sockets.

mod access;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod connection;
#[path = "../cluster/held.rs"]
mod held;
mod limits;
mod numbers;
mod pages;
mod program;
mod readiness;
mod routes;
mod rows;
#[cfg(feature = "tls")]
mod tls;
