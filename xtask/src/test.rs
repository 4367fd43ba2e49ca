use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, run};

/// Runs all tests: unit and integration tests, examples and the snippets of the documents.
#[derive(Args)]
pub(crate) struct Test {
    /// What cargo test is given besides, as `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> TaskResult {
        // Everything is built first, so that tests which start example programs find them, and no test waits for a compiler.
        run(cargo().args(["build", "--workspace", "--all-targets"]))?;
        run(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(&self.more))
    }
}
