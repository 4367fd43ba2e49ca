//! The options of the command line, and what they set.

mod arguments;
mod asked;
mod broker;
mod cluster;
mod command_line;
#[cfg(feature = "kafka")]
mod kafka;
mod tls;
mod web;

pub(crate) use arguments::{
    Arguments, Command, GraphFormat, ResetArguments, SendArguments, SkipArguments, TableArguments, WorkerOptions,
};
pub(crate) use asked::{AskedAt, Web};
pub(crate) use command_line::MARLOWE;
