//! The process that runs the program in a folder, and the outcome of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::Outcome;
use crate::program::REFUSED;

/// The time within which the program must end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the program in a damaged folder, and returns the outcome. `truth` are the rows of the
/// folder before the damage.
pub(crate) fn outcome_in(folder: &Path, truth: &str) -> Outcome {
    match rows_of(folder) {
        Ok(found) if found != *truth => Outcome::WrongRows(found),
        Ok(_) if has_damaged(folder) => Outcome::Healed,
        Ok(_) => Outcome::NoEffect,
        Err(outcome) => outcome,
    }
}

/// Returns the rows of the folder, read by a process of its own.
pub(crate) fn rows_of(folder: &Path) -> Result<String, Outcome> {
    let crash = |what: String| Outcome::Crash(what);
    let program = std::env::current_exe().map_err(|error| crash(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("look").arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| crash(error.to_string()))?;
    let begun = Instant::now();
    // The output is smaller than the buffer of a pipe, so it need not be read before the end.
    while child.try_wait().map_err(|error| crash(error.to_string()))?.is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(crash(format!("it did not end within {PATIENCE:?}")));
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let output = child.wait_with_output().map_err(|error| crash(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(code) if code == i32::from(REFUSED) => Err(Outcome::ClearError(said)),
        _ => Err(crash(format!("{}: {said}", output.status))),
    }
}

/// Returns whether a damaged store was moved aside anywhere in the folder.
fn has_damaged(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == "damaged.mdb" || has_damaged(&entry.path()))
}
