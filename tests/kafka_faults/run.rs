//! The example `cli_demo`, run by tests as users run it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::scene::{eventually, pause, within};

/// A run of the example, which is killed when this is dropped.
pub(crate) struct Run {
    child: Child,
    folder: TempDir,
}

impl Run {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let test = std::env::current_exe().unwrap();
        let target = test.parent().and_then(Path::parent).unwrap();
        let example = target.join("examples").join("cli_demo");
        assert!(example.is_file(), "{} is not built: run `cargo build --example cli_demo`", example.display());
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let mut command = Command::new(example);
        command.args(arguments).envs(environment.iter().copied()).env_remove("RUST_LOG");
        let child = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { child, folder }
    }

    /// Returns all that the run has written so far.
    pub(crate) fn said(&self) -> String {
        let read =
            |name: &str| String::from_utf8_lossy(&std::fs::read(self.folder.path().join(name)).unwrap()).into_owned();
        read("out") + &read("err")
    }

    /// Waits until the run has written `words`.
    pub(crate) async fn says(&self, words: &str) {
        eventually(&format!("`{words}` is said"), async || self.said().contains(words)).await;
    }

    /// Waits until the run has ended, and returns its status.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        within(async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                pause(20).await;
            }
        })
        .await
    }

    /// Asks the run to end, and waits until it has.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::TERM).unwrap();
        self.end().await
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // The run may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
