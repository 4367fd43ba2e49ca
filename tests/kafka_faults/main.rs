//! Faults, on real Kafka: each ends in recovery or in one clear error; nothing is lost, and nothing is there twice.

mod audit;
mod bounce;
mod feeder;
mod process;
mod program;
mod scene;
mod statics;
mod transactions;
mod zombie;
