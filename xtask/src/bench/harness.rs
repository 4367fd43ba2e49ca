use std::process::Command;

use crate::TaskResult;
use crate::cargo::{cargo, root, run, target};

/// Has the program `peers` measure, after it was built with the programs that it starts.
pub(crate) fn measure(what: &str, programs: &[&str], options: &[String]) -> TaskResult {
    // Each by itself, as its user would: what one needs of a crate is not built into the other.
    for package in programs.iter().chain(&["peers"]) {
        run(cargo().args(["build", "--quiet", "--profile", "bench", "--package", package]))?;
    }
    // The bench profile builds into the folder of the release profile.
    let program = target().join("release").join("peers");
    run(Command::new(program).arg(what).arg("--workspace").arg(root()).arg("--target").arg(target()).args(options))
}
