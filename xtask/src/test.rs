use clap::Args;
use kafka_cluster::{Cluster, ClusterConfig};

use crate::TaskResult;
use crate::cargo::{cargo, run};

/// How many seeds of the simulation belong to all tests: some minutes.
const SEEDS: u64 = 10_000;

/// Runs all tests: unit and integration tests, examples, the snippets of the documents, and seeds of the
/// simulation.
#[derive(Args)]
pub(crate) struct Test {
    /// What cargo test is given besides, as `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> TaskResult {
        // One broker for all that do it no harm; the others start their own. It comes first, as without Kafka nothing is
        // tested; and it ends with this function, or with this process.
        let kafka = Cluster::start(ClusterConfig::one());
        let kafka = kafka.map_err(|error| format!("the tests need Kafka, which does not start: {error}"))?;
        // Everything is built first, so that tests which start example programs find them, and no test waits for a compiler.
        run(cargo().args(["build", "--workspace", "--all-targets"]))?;
        let mut test = cargo();
        test.args(["test", "--workspace", "--no-fail-fast"]).args(&self.more);
        run(test.env("MARLOWE_TEST_KAFKA_1", kafka.bootstrap()))?;
        drop(kafka);
        match self.more.as_slice() {
            [] => crate::sim::seeds(SEEDS),
            _ => Ok(()),
        }
    }
}
