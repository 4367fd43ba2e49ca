//! The command `cargo xtask bench`: builds and runs the benches.

mod growth;
mod harness;
mod peers;
mod profile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use kafka_cluster::{Cluster, ClusterConfig};

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// A bench of the performance of Marlowe.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Compare the embedded broker with a bare loop over the same bytes: one JSON line per case,
    /// then the ratios.
    Embedded(Embedded),
    /// Compare an agent on Kafka, at least once and exactly once, with librdkafka and a `HashMap`;
    /// then measure latencies at half load.
    Kafka(Kafka),
    /// Measure restores on Kafka: a worker without its tables and with them, compared with a
    /// consumer of the same changelog; then the latency of another agent during a restore.
    Restore(Restore),
    /// Compare Kafka Streams, Goka, Faust, Quix Streams, Marlowe and a bare loop.
    Peers(peers::Peers),
    /// Measure how the cost of an event in Marlowe on Kafka grows with partitions, keys, agents and
    /// workers.
    Growth(growth::Growth),
    /// Count the instructions of an event by function, in Marlowe and in a bare loop on Kafka,
    /// under callgrind.
    Profile(profile::Profile),
    /// Measure how long an ask takes, how long an event takes until a view shows it, and what an
    /// idle worker costs: in memory, in a folder, or on a Kafka that runs.
    Answers(Answers),
    /// Run a steady load on the embedded broker for a long time, and measure memory and disk.
    Soak(Soak),
    /// Measure the web server of the example `flights` while clients hold connections: how long
    /// `/healthz` takes, the memory, and whether it still counts.
    Web(Web),
}

#[derive(Args)]
pub(crate) struct Web {
    /// Options of the bench: `--seconds N`, `--files N`, `--rate N`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Answers {
    /// Options of the bench: `--folder`, `--brokers HOST:PORT`, `--partitions N`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Soak {
    /// Options of the bench: `--minutes N`, `--rate N`, `--keys N`, `--folder`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The number of rounds.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The number of keys in the table.
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
}

#[derive(Args)]
pub(crate) struct Kafka {
    /// The number of rounds over all cases; the ratios are those of the medians.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The number of events.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// The number of distinct keys.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
}

#[derive(Args)]
pub(crate) struct Embedded {
    /// The number of rounds over all cases; the ratios are those of the medians.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The number of events.
    #[arg(long, default_value_t = 4_000_000)]
    events: u64,
    /// Do not count the instructions per event, which needs valgrind.
    #[arg(long)]
    no_instructions: bool,
}

impl Bench {
    pub(crate) fn run(&self) -> TaskResult {
        match self {
            Bench::Embedded(embedded) => embedded.run(),
            Bench::Kafka(kafka) => kafka.run(),
            Bench::Restore(restore) => restore.run(),
            Bench::Peers(peers) => peers.run(),
            Bench::Growth(growth) => growth.run(),
            Bench::Profile(profile) => profile.run(),
            Bench::Answers(answers) => run(Command::new(build()?).arg("answers").args(&answers.options)),
            Bench::Soak(soak) => run(Command::new(build()?).arg("soak").args(&soak.options)),
            Bench::Web(web) => {
                run(cargo().args(["build", "--quiet", "--release", "--example", "flights"]))?;
                let flights = target().join("release").join("examples").join("flights");
                run(Command::new(build()?).args(["web", "--flights"]).arg(flights).args(&web.options))
            }
        }
    }
}

impl Embedded {
    fn run(&self) -> TaskResult {
        let program = build()?;
        let (rounds, events) = (self.rounds.to_string(), self.events.to_string());
        run(Command::new(&program).args(["embedded", "--rounds", &rounds, "--events", &events]))?;
        if !self.no_instructions {
            for keys in [1_000, 1_000_000] {
                for case in ["bare", "memory"] {
                    let instructions = instructions_per_event(&program, case, keys)?;
                    let line = serde_json::json!({
                        "case": case,
                        "keys": keys,
                        "instructions_per_event": instructions.round(),
                    });
                    println!("{line}");
                }
            }
        }
        Ok(())
    }
}

impl Kafka {
    fn run(&self) -> TaskResult {
        let program = build()?;
        let cluster = Cluster::start(ClusterConfig::one().long_running());
        let cluster = cluster.map_err(|error| format!("Kafka does not start: {error}"))?;
        let brokers = cluster.bootstrap();
        let topic = "visits";
        let (keys, events) = (self.keys.to_string(), self.events.to_string());
        let of_topic = ["--brokers", &brokers, "--topic", topic, "--keys", &keys, "--events", &events];
        run(Command::new(&program).args(["kafka", "load"]).args(of_topic))?;
        let mut speeds: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        // The cases take turns, so that other load on the machine affects all of them alike. Each
        // has a process of its own.
        for _ in 0..self.rounds {
            for case in ["bare", "at-least-once", "exactly-once"] {
                let measured =
                    measured(Command::new(&program).args(["kafka", "count", "--case", case]).args(of_topic))?;
                let speed = |name: &str| measured[name].as_f64().unwrap_or_default();
                let speed = (speed("events_per_second"), speed("events_per_core_second"));
                speeds.entry(case).or_default().push(speed);
            }
        }
        let median = |case: &str, of: fn(&(f64, f64)) -> f64| {
            let mut speeds: Vec<f64> = speeds[case].iter().map(of).collect();
            speeds.sort_by(f64::total_cmp);
            speeds[speeds.len() / 2]
        };
        let ratios = |of: fn(&(f64, f64)) -> f64| {
            let bare = median("bare", of);
            serde_json::json!({
                "at_least_once_to_bare": median("at-least-once", of) / bare,
                "exactly_once_to_bare": median("exactly-once", of) / bare,
            })
        };
        println!("{}", serde_json::json!({ "wall": ratios(|speed| speed.0), "cpu": ratios(|speed| speed.1) }));
        // The sender, the reader and the broker also use this machine. So the full load is what all
        // of them carry together.
        let latency = |rate: f64, seconds: &str| {
            let rate = (rate as u64).to_string();
            let of_load = ["latency", "--brokers", &brokers, "--rate", &rate, "--seconds", seconds];
            measured(Command::new(&program).arg("kafka").args(of_load))
        };
        let full = latency(median("exactly-once", |speed| speed.0), "5")?;
        let carried = full["events_per_second"].as_f64().unwrap_or_default();
        latency(carried / 2.0, "15").map(drop)
    }
}

/// Runs a command that prints its result. Prints the result for people, and returns it.
fn measured(command: &mut Command) -> TaskResult<serde_json::Value> {
    let line = output(command)?;
    print!("{line}");
    serde_json::from_str(&line).map_err(|error| format!("{command:?} printed no result ({error}): {line}"))
}

impl Restore {
    fn run(&self) -> TaskResult {
        let program = build()?;
        let cluster = Cluster::start(ClusterConfig::one().long_running());
        let cluster = cluster.map_err(|error| format!("Kafka does not start: {error}"))?;
        let brokers = cluster.bootstrap();
        let kafka = |command: &str| {
            let mut kafka = Command::new(&program);
            kafka.args(["kafka", command, "--brokers", &brokers]);
            kafka
        };
        run(kafka("load-changelog").args(["--keys", &self.keys.to_string()]))?;
        let folder = target().join("bench-restore");
        for _ in 0..self.rounds {
            let gone = std::fs::remove_dir_all(&folder);
            gone.or_else(|error| if folder.exists() { Err(error) } else { Ok(()) })
                .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
            run(&mut kafka("read-changelog"))?;
            run(kafka("restore").arg("--data-dir").arg(&folder))?;
            run(kafka("restore").arg("--data-dir").arg(&folder))?;
            run(&mut kafka("restore"))?;
        }
        run(&mut kafka("restore-beside"))?;
        std::fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))
    }
}

/// Builds the program that measures.
fn build() -> TaskResult<PathBuf> {
    run(cargo().args(["build", "--quiet", "--profile", "bench", "--package", "marlowe-bench"]))?;
    // The bench profile builds into the folder of the release profile.
    Ok(target().join("release").join("marlowe-bench"))
}

/// Runs a command to its end, and returns its output.
fn output(command: &mut Command) -> TaskResult<String> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {reason}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the instructions per event, as callgrind counts them. It is the difference between two
/// lengths of runs, so that one-time costs cancel, without the instructions that prepare the
/// events.
fn instructions_per_event(program: &Path, case: &str, keys: u64) -> TaskResult<f64> {
    const SHORT: u64 = 200_000;
    const LONG: u64 = 600_000;
    let count = |events: u64, prepare_only: bool| -> TaskResult<f64> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        command.args(["embedded", "--case", case, "--keys", &keys.to_string(), "--events", &events.to_string()]);
        if prepare_only {
            command.arg("--prepare-only");
        }
        let output = command.output().map_err(|error| {
            format!("cannot start valgrind ({error}): install it (Debian: `valgrind`), or give --no-instructions")
        })?;
        let text = String::from_utf8_lossy(&output.stderr);
        let total = text.lines().find_map(|line| line.split("refs:").nth(1));
        let total = total.and_then(|total| total.trim().replace(',', "").parse().ok());
        total.ok_or_else(|| format!("valgrind did not say how many instructions there were: {text}"))
    };
    let all = count(LONG, false)? - count(SHORT, false)?;
    let preparing = count(LONG, true)? - count(SHORT, true)?;
    Ok((all - preparing) / (LONG - SHORT) as f64)
}
