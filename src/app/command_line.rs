//! The parts of the command line that a program defines itself: its version, its options and its
//! Kafka settings.

use clap::{Args, Command};

/// A program's own part of its command line.
#[derive(Default)]
pub(crate) struct CommandLine {
    pub(crate) version: Option<String>,
    /// A function that adds the program's options to a command.
    pub(crate) own: Option<fn(Command) -> Command>,
    /// Settings of the Kafka client that the program sets itself, as `(name, value)`.
    pub(crate) kafka: Vec<(String, String)>,
}

impl CommandLine {
    /// Adds the options of `T`.
    pub(crate) fn add<T: Args>(&mut self) {
        self.own = Some(T::augment_args);
    }
}
