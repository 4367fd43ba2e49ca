//! Tests of several processes that run one program. Each process is a `Running` with its own web
//! port and its own view of who has what, and they share nothing but the broker.

#[cfg(feature = "tls")]
#[path = "../web/certificates.rs"]
mod certificates;
#[path = "../web/client.rs"]
mod client;
mod directory;
mod folder;
mod forwarding;
mod global_reports;
mod held;
#[cfg(feature = "tls")]
#[path = "../web/https.rs"]
mod https;
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
#[path = "../waits/mod.rs"]
mod waits;
mod web;
