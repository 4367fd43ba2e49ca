//! The cost of Marlowe on the embedded broker, compared with a bare loop over the same bytes.
//!
//! Each case runs in a process of its own, several rounds in turn. `case` has the cases, and
//! `events` the events that they count.

mod case;
mod events;

use std::process::Command;

use case::{Case, Measured};
use clap::Args;
pub(crate) use events::{Events, PARTITIONS, PageView, TOPIC};

use crate::BenchResult;

#[derive(Args)]
pub(crate) struct Embedded {
    /// Run one case once, in this process.
    #[arg(long)]
    case: Option<Case>,
    /// Only prepare the events of that case.
    #[arg(long, requires = "case")]
    prepare_only: bool,
    /// The number of distinct keys (default: 1,000, then 1,000,000).
    #[arg(long)]
    keys: Option<u64>,
    /// The number of events.
    #[arg(long, default_value_t = 4_000_000)]
    events: u64,
    /// The number of rounds over all cases.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

impl Embedded {
    pub(crate) fn run(self) -> BenchResult<()> {
        if let Some(case) = self.case {
            let keys = self.keys.unwrap_or(1000);
            if self.prepare_only {
                return case.prepare(keys, self.events);
            }
            let measured = case.run(keys, self.events)?;
            println!("{}", serde_json::to_string(&measured)?);
            return Ok(());
        }
        for keys in self.keys.map_or(vec![1_000, 1_000_000], |keys| vec![keys]) {
            let mut all: Vec<Measured> = Vec::new();
            // The cases take turns, so that other load on the machine affects all of them alike.
            // Each has a process of its own.
            for _ in 0..self.rounds {
                for case in [Case::Bare, Case::Memory, Case::Disk] {
                    let measured = in_a_process(case, keys, self.events)?;
                    println!("{}", serde_json::to_string(&measured)?);
                    all.push(measured);
                }
            }
            let median = |case: Case| {
                let mut speeds: Vec<f64> =
                    all.iter().filter(|one| one.case == case).map(|one| one.events_per_core_second).collect();
                speeds.sort_by(f64::total_cmp);
                speeds[speeds.len() / 2]
            };
            let bare = median(Case::Bare);
            let summary = serde_json::json!({
                "keys": keys,
                "median_events_per_core_second": { "bare": bare, "memory": median(Case::Memory), "disk": median(Case::Disk) },
                "memory_to_bare": median(Case::Memory) / bare,
                "disk_to_bare": median(Case::Disk) / bare,
            });
            println!("{summary}");
        }
        Ok(())
    }
}

fn in_a_process(case: Case, keys: u64, events: u64) -> BenchResult<Measured> {
    let case = serde_json::to_value(case)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["embedded", "--case", case.as_str().unwrap_or_default()])
        .args(["--keys", &keys.to_string(), "--events", &events.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
