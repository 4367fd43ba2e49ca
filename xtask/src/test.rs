use std::process::Command;

use clap::Args;
use kafka_cluster::{Cluster, ClusterConfig, Version};

use crate::TaskResult;
use crate::cargo::{cargo, run};

/// How many seeds of the simulation belong to all tests: some minutes.
const SEEDS: u64 = 10_000;

/// How many data folders are damaged among all tests.
const DAMAGED: u64 = 200;

/// How many minutes each fuzzer runs among all tests.
const FUZZED: u32 = 1;

/// How many tests run at once on each core. Most of them wait, either for Kafka or until some time has passed.
const TESTS_PER_CORE: usize = 2;

/// The variable by which a test binary is told how many tests it runs at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Runs all tests: unit and integration tests, examples, the snippets of the documents, damaged data folders, fuzzers,
/// and seeds of the simulation.
#[derive(Args)]
pub(crate) struct Test {
    /// Kafka's version, such as 4.4.0; `oldest` and `newest` are those that Marlowe supports [default: newest].
    #[arg(long, value_name = "VERSION")]
    kafka: Option<Version>,
    /// Run only what needs no Kafka, no JDK and no browser: a loop for somebody who changes the code.
    #[arg(long, conflicts_with = "kafka")]
    quick: bool,
    /// What cargo test is given besides, as `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// How many seeds belong to the quick tests.
const QUICK_SEEDS: u64 = 500;

/// What the quick tests build of `marlowe`: all but Kafka.
const QUICK: [&str; 5] = ["--package", "marlowe", "--no-default-features", "--features", "sim,tls"];

/// The integration tests of `marlowe` that are quick.
const QUICK_TESTS: [&str; 6] = ["rules", "cluster", "web", "cli", "examples", "simulation"];

/// The crates below `marlowe` that are tested quickly.
const QUICK_CRATES: [&str; 4] = ["marlowe-broker", "marlowe-embedded", "marlowe-lmdb", "marlowe-state"];

impl Test {
    pub(crate) fn run(&self) -> TaskResult {
        if self.quick { self.run_quick() } else { self.run_all() }
    }

    /// Runs what needs nothing but cargo and a C compiler.
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
        // One broker for all that do it no harm; the others start their own. It comes first, as without Kafka nothing is
        // tested; and it ends with this function, or with this process.
        let version = self.kafka.clone().map_or_else(Version::chosen, Ok).map_err(|error| error.to_string())?;
        // All suites leave their topics there: thousands of partitions, which the default heap does not hold.
        let kafka = Cluster::start(ClusterConfig::one().heap_megabytes(1024).version(version.clone()));
        let kafka = kafka.map_err(|error| format!("the tests need Kafka, which does not start: {error}"))?;
        // Everything is built first, so that tests which start example programs find them, and no test waits for a compiler.
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
                crate::fuzz::minutes(FUZZED)?;
                crate::sim::seeds(SEEDS)
            }
            _ => Ok(()),
        }
    }
}

/// Says how many tests run at once, unless the caller's environment does.
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
