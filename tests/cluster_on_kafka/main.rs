//! Several processes on Apache Kafka: the tests of the embedded broker, on another stage.
//!
//! These stay out: `folder`, which is about the embedded broker's; and `stalled`, for on Kafka a member is heard of while nobody
//! asks it for news (there a worker is stopped by a signal instead).

#[path = "../web/client.rs"]
mod client;
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
#[path = "../waits/mod.rs"]
mod waits;
#[path = "../cluster/web.rs"]
mod web;
