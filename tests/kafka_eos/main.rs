//! The checks of the system tests of Kafka Streams and of Faust, on Apache Kafka. Programs run as
//! two or three workers that are started, stopped and crashed under load, and afterwards all
//! records are counted again.

#[path = "../common/mod.rs"]
mod common;
mod crew;
mod eos;
mod least;
mod load;
mod place;
mod records;
mod smoke;
mod tabletest;
mod verify;
