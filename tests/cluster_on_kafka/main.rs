//! Tests of several processes on Apache Kafka: the files of `tests/cluster` on another stage.
//!
//! `folder` stays out because it is about the embedded broker. `stalled` stays out because it makes
//! a member silent by not asking it for events, and on Kafka such a member still sends heartbeats.
//! On Kafka, `tests/kafka_faults` stops a worker by a signal instead.

#[path = "../common/mod.rs"]
mod common;
#[path = "../cluster/directory.rs"]
mod directory;
#[path = "../cluster/forwarding.rs"]
mod forwarding;
#[path = "../cluster/global_reports.rs"]
mod global_reports;
#[path = "../cluster/held.rs"]
mod held;
#[path = "../cluster/moving.rs"]
mod moving;
#[path = "../cluster/program.rs"]
mod program;
#[path = "../cluster/reads.rs"]
mod reads;
#[path = "../rules_on_kafka/room.rs"]
mod room;
#[path = "../cluster/scene.rs"]
mod scene;
#[path = "../cluster/signature.rs"]
mod signature;
#[allow(dead_code, reason = "some of it is for the rules alone")]
#[path = "../rules_on_kafka/stage.rs"]
mod stage;
#[path = "../cluster/standbys.rs"]
mod standbys;
#[path = "../cluster/token.rs"]
mod token;
#[path = "../cluster/web.rs"]
mod web;
