//! Tests of faults on real Kafka. Each fault must end in recovery or in one clear error, and
//! nothing may be lost or there twice.

mod aborted;
mod audit;
mod bounce;
#[path = "../common/mod.rs"]
mod common;
mod dialog;
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
mod scene;
mod start;
mod statics;
mod topics;
mod transactions;
mod zombie;
