//! Processes with which a test talks over their standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};

use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::common::child::ChildGuard;

/// Returns a command that runs the ignored test `name` of this binary.
pub(crate) fn ignored_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", name]);
    command
}

/// A process with which a test talks. It is killed when this is dropped.
pub(crate) struct Dialog {
    child: ChildGuard,
    /// The standard input of the process. It closes when the test ends.
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Dialog {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = ChildGuard::start(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let (input, out) = (child.take_input(), BufReader::new(child.take_output()));
        let (said, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, input, lines }
    }

    /// Returns the next line that the process writes, or `None` if it writes no more.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Writes a line to the process.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }
}
