//! A process that a test starts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A process that ends with its owner.
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts it. What it says goes to files in `folder`, over those of the process before.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let (out, err) = (folder.join("stdout"), folder.join("stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child, out, err })
    }

    /// Waits for its end, so long.
    pub(crate) async fn ended(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends it a signal: `KILL`, `TERM`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status()?;
        if sent.success() { Ok(()) } else { Err(format!("kill -{signal}: {sent}").into()) }
    }

    /// What it said on standard output.
    pub(crate) fn out(&self) -> Result<String> {
        said(&self.out)
    }

    /// What it said on standard error.
    pub(crate) fn err(&self) -> Result<String> {
        said(&self.err)
    }
}

fn said(file: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(file)?).into_owned())
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or ends now: a test leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example that cargo built along with the tests: it lies beside their folder.
pub(crate) fn example(name: &str) -> Result<Command> {
    let this = std::env::current_exe()?;
    let profile = this.parent().and_then(Path::parent).ok_or("a test lies in target/<profile>/deps")?;
    let example = profile.join("examples").join(name);
    if example.exists() {
        return Ok(Command::new(example));
    }
    Err(format!("{} is not there: `cargo test` builds it, `cargo build --example {name}` too", example.display())
        .into())
}
