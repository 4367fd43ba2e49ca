//! Builds and runs the program `peers`, which measures programs on Kafka.

use std::process::Command;

use crate::TaskResult;
use crate::cargo::{cargo, root, run, target};

/// Builds the program `peers` and the `programs` that it starts, and runs the measurement `what`.
pub(crate) fn measure(what: &str, programs: &[&str], options: &[String]) -> TaskResult {
    // Each package is built by itself, as its user would build it. Otherwise the features that one
    // package needs of a crate would also be built into the others.
    for package in programs.iter().chain(&["peers"]) {
        run(cargo().args(["build", "--quiet", "--profile", "bench", "--package", package]))?;
    }
    // The bench profile builds into the folder of the release profile.
    let program = target().join("release").join("peers");
    run(Command::new(program).arg(what).arg("--workspace").arg(root()).arg("--target").arg(target()).args(options))
}
