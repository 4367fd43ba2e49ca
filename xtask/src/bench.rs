use std::path::Path;
use std::process::Command;

use clap::{Args, Subcommand};

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// The embedded broker beside a bare loop over the same bytes: one JSON line per case, then the ratios.
    Embedded(Embedded),
}

#[derive(Args)]
pub(crate) struct Embedded {
    /// How many rounds of all cases; the ratios are those of the medians.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How many events.
    #[arg(long, default_value_t = 4_000_000)]
    events: u64,
    /// Leave out the instructions per event, which need valgrind.
    #[arg(long)]
    no_instructions: bool,
}

impl Bench {
    pub(crate) fn run(&self) -> TaskResult {
        match self {
            Bench::Embedded(embedded) => embedded.run(),
        }
    }
}

impl Embedded {
    fn run(&self) -> TaskResult {
        run(cargo().args(["build", "--quiet", "--profile", "bench", "--package", "marlowe-bench"]))?;
        // The bench profile builds into the folder of the release profile.
        let program = target().join("release").join("marlowe-bench");
        let (rounds, events) = (self.rounds.to_string(), self.events.to_string());
        run(Command::new(&program).args(["--rounds", &rounds, "--events", &events]))?;
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

/// Instructions by event, by callgrind: of two lengths the difference, so that what is done once cancels, less those of
/// preparing the events.
fn instructions_per_event(program: &Path, case: &str, keys: u64) -> TaskResult<f64> {
    const SHORT: u64 = 200_000;
    const LONG: u64 = 600_000;
    let count = |events: u64, prepare_only: bool| -> TaskResult<f64> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        command.args(["--case", case, "--keys", &keys.to_string(), "--events", &events.to_string()]);
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
