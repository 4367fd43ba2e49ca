//! The web server of a worker, over real sockets.

mod access;
mod changes;
mod client;
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
