//! Runs a program on a real Kafka cluster while workers and brokers are killed, and checks whether
//! every count is exact.

#![allow(clippy::disallowed_methods)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use marlowe_broker::{Entropy, SystemEntropy};
use marlowe_chaos::Result;
use marlowe_chaos::report::Report;
use marlowe_chaos::scenario::Run;
use marlowe_chaos::verdict::{Rule, Verdict};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Kills workers and brokers while a program counts, and tells whether every count is exact")]
struct Options {
    /// Duration in minutes
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Seed of all random decisions [default: a random one]
    #[arg(long)]
    seed: Option<u64>,
    /// Scenario to run
    #[arg(long, value_enum, default_value_t = Scenario::Mixed)]
    scenario: Scenario,
    /// Approximate number of events per second (mixed)
    #[arg(long, default_value_t = 300)]
    rate: u64,
    /// Process at least once: sent records may be repeated, everything else must be exact (mixed)
    #[arg(long)]
    at_least_once: bool,
    /// New folder for the workers' folders and logs; removed if everything is correct
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// A program with agents, tables and timers in important combinations; workers and brokers are
    /// killed, stopped and restarted at random
    Mixed,
    /// The example `flights` in three processes, of which one is killed every three seconds
    Flights,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| SystemEntropy.next() % 1_000_000);
    match run(&options, seed).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error} (seed {seed})");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options, seed: u64) -> Result<bool> {
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("marlowe-chaos-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder)?;
    if std::fs::read_dir(&folder)?.next().is_some() {
        // The files of an earlier run belong to a cluster that no longer exists.
        return Err(format!("{} is not empty: give --folder another one", folder.display()).into());
    }
    let run = Run {
        time: Duration::from_secs_f64(options.minutes * 60.0),
        seed,
        rate: options.rate.max(10),
        rule: if options.at_least_once { Rule::AtLeastOnce } else { Rule::ExactlyOnce },
        folder: folder.clone(),
    };
    let report = Report::default();
    report.tell(&format!(
        "{:?}, {:?}, {} minutes, seed {seed}, in {}",
        options.scenario,
        run.rule,
        options.minutes,
        folder.display()
    ));
    let mut terminated = signal(SignalKind::terminate())?;
    let work = async {
        match options.scenario {
            Scenario::Mixed => run.mixed(&report).await,
            Scenario::Flights => run.flights(&report).await,
        }
    };
    // The processes are killed when their owners are dropped, whatever ends the run.
    let verdict = tokio::select! {
        verdict = work => verdict?,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
        _ = terminated.recv() => return Err("interrupted".into()),
    };
    Ok(tell(&verdict, &report, seed, &folder))
}

fn tell(verdict: &Verdict, report: &Report, seed: u64, folder: &std::path::Path) -> bool {
    let Verdict { events, lost, duplicated, wrong, again, told, .. } = verdict;
    told.iter().for_each(|told| println!("  {told}"));
    println!("seed {seed}: {events} events (or rows); {}", report.text());
    println!("lost {lost}, duplicated {duplicated}, wrong {wrong}");
    if verdict.rule == Rule::AtLeastOnce {
        println!("{again} receipts and rows tell of events that came again, as they may");
    }
    if verdict.is_good() {
        // A folder that cannot be removed does no harm.
        let _ = std::fs::remove_dir_all(folder);
    } else {
        println!("the workers' logs are in {}", folder.display());
    }
    verdict.is_good()
}
