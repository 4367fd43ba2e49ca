//! The options of the command line, and the settings that they make.
//!
//! [`Arguments`] is the whole command line as clap reads it: options of every command, options of
//! `worker`, and the commands. The other files hold groups of options: the broker and Kafka's
//! client, workers of other processes, the web server, TLS. `command_line` adds the program's own
//! options. [`AskedAt`] says how a command reaches a running worker.

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
