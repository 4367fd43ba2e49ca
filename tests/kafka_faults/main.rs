//! Tests of faults on real Kafka. Each fault must end in recovery or in one clear error, and
//! nothing may be lost or there twice.

mod aborted;
mod audit;
mod bounce;
mod expelled;
mod feeder;
mod killed;
mod login;
mod messages;
mod passed_over;
mod process;
mod program;
mod rebalance;
mod rows;
mod run;
mod scene;
mod start;
mod statics;
mod topics;
mod transactions;
#[allow(dead_code, reason = "its workers start and stop in other ways")]
#[path = "../waits/mod.rs"]
mod waits;
mod zombie;
