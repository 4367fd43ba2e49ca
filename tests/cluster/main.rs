//! Tests of several processes that run one program. Each process is a `Running` with its own web
//! port and its own view of who has what, and they share nothing but the broker.

#[path = "../common/mod.rs"]
mod common;
mod directory;
mod folder;
mod forwarding;
mod global_reports;
mod held;
mod moving;
mod program;
mod reads;
mod scene;
mod signature;
mod signed_in;
#[allow(dead_code, reason = "some of it is for the rules alone")]
#[path = "../rules/stage.rs"]
mod stage;
mod stalled;
mod standbys;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod web;
