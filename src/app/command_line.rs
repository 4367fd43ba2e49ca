//! What a program adds to its command line.

use clap::{Args, Command};

/// A program's own part of its command line.
#[derive(Default)]
pub(crate) struct CommandLine {
    pub(crate) version: Option<String>,
    /// Adds the program's options to a command.
    pub(crate) own: Option<fn(Command) -> Command>,
    /// Settings of Kafka's client that the program makes itself.
    pub(crate) kafka: Vec<(String, String)>,
}

impl CommandLine {
    /// Adds the options of `T`.
    pub(crate) fn add<T: Args>(&mut self) {
        self.own = Some(T::augment_args);
    }
}
