//! The command `cargo xtask test`.

use std::process::Command;
use std::time::Duration;

use clap::Args;
use kafka_cluster::{Cluster, ClusterConfig, Version};

use crate::TaskResult;
use crate::cargo::{cargo, run};

/// The number of simulated seeds among all tests, which take some minutes.
const SEEDS: u64 = 10_000;

/// The number of data folders that are damaged among all tests.
const DAMAGED: u64 = 200;

/// The time that each fuzzer runs among all tests.
const FUZZED: Duration = Duration::from_secs(30);

/// The number of tests that run at once on each core. Most of them wait, either for Kafka or for
/// some time to pass.
const TESTS_PER_CORE: usize = 2;

/// The environment variable that tells a test binary how many tests to run at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Runs all tests: unit and integration tests, examples, the snippets of the documents, damaged
/// data folders, fuzzers, and seeds of the simulation.
#[derive(Args)]
pub(crate) struct Test {
    /// The version of Kafka, such as 4.4.0, or `oldest` or `newest` of the supported versions
    /// [default: newest].
    #[arg(long, value_name = "VERSION")]
    kafka: Option<Version>,
    /// Run only the tests that need no Kafka, no JDK and no browser, for quick feedback on a
    /// change.
    #[arg(long, conflicts_with = "kafka")]
    quick: bool,
    /// More arguments for `cargo test`, such as `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// The number of simulated seeds among the quick tests.
const QUICK_SEEDS: u64 = 500;

/// The arguments with which the quick tests build `marlowe`: everything except Kafka.
const QUICK: [&str; 5] = ["--package", "marlowe", "--no-default-features", "--features", "sim,tls"];

/// The integration tests of `marlowe` that are quick.
const QUICK_TESTS: [&str; 6] = ["rules", "cluster", "web", "cli", "examples", "simulation"];

/// The crates below `marlowe` that have quick tests.
const QUICK_CRATES: [&str; 4] = ["marlowe-broker", "marlowe-embedded", "marlowe-lmdb", "marlowe-state"];

impl Test {
    pub(crate) fn run(&self) -> TaskResult {
        if self.quick { self.run_quick() } else { self.run_all() }
    }

    /// Runs the tests that need nothing but cargo and a C compiler.
    fn run_quick(&self) -> TaskResult {
        run(cargo().arg("build").args(QUICK).arg("--examples"))?;
        let mut test = cargo();
        test.args(["test", "--no-fail-fast"]).args(QUICK);
        if self.more.is_empty() {
            test.arg("--lib").args(QUICK_TESTS.iter().flat_map(|name| ["--test", name]));
        }
        run(at_once(&mut test).args(&self.more))?;
        match self.more.as_slice() {
            [] => {
                let mut test = cargo();
                test.args(["test", "--no-fail-fast"]).args(QUICK_CRATES.iter().flat_map(|name| ["--package", name]));
                run(at_once(&mut test))?;
                crate::sim::seeds(QUICK_SEEDS)
            }
            _ => Ok(()),
        }
    }

    fn run_all(&self) -> TaskResult {
        // Tests that do a broker no harm share this one, and the others start their own. It starts
        // first, because without Kafka nothing is tested. It ends with this function, or with this
        // process.
        let version = self.kafka.clone().map_or_else(Version::chosen, Ok).map_err(|error| error.to_string())?;
        // All test suites leave their topics there. Their thousands of partitions do not fit into
        // the default heap.
        let kafka = Cluster::start(ClusterConfig::one().heap_megabytes(1024).version(version.clone()));
        let kafka = kafka.map_err(|error| format!("the tests need Kafka, which does not start: {error}"))?;
        // Everything is built first. So tests that start example programs find them, and no test
        // waits for a compiler.
        run(cargo().args(["build", "--workspace", "--all-targets"]))?;
        let mut test = cargo();
        test.args(["test", "--workspace", "--no-fail-fast"]).args(&self.more);
        println!("Kafka {version}");
        test.env(Version::VARIABLE, version.to_string());
        run(at_once(&mut test).env("MARLOWE_TEST_KAFKA_1", kafka.bootstrap()))?;
        drop(kafka);
        match self.more.as_slice() {
            [] => {
                crate::damage::mutations(DAMAGED)?;
                crate::fuzz::all_for(FUZZED)?;
                crate::sim::seeds(SEEDS)
            }
            _ => Ok(()),
        }
    }
}

/// Sets how many tests run at once, unless the caller's environment does.
fn at_once(test: &mut Command) -> &mut Command {
    if std::env::var_os(TEST_THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        test.env(TEST_THREADS, (TESTS_PER_CORE * cores).to_string());
    }
    test
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        test: Test,
    }

    #[test]
    fn n5_kafka_is_chosen_before_what_cargo_is_given() {
        let arguments = ["xtask", "--kafka", "oldest", "--test", "kafka_eos", "--test", "kafka_faults"];
        let test = Arguments::parse_from(arguments).test;
        assert_eq!(test.kafka.map(String::from).as_deref(), Some(Version::OLDEST));
        assert_eq!(test.more, arguments[3..]);
        assert!(Arguments::try_parse_from(["xtask", "--kafka", "4"]).is_err());
        assert!(Arguments::parse_from(["xtask", "--quick"]).test.quick);
        assert!(Arguments::try_parse_from(["xtask", "--quick", "--kafka", "oldest"]).is_err());
    }
}
