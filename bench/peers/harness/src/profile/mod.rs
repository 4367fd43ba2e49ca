//! `cargo xtask bench profile`: the instructions of an event by function, in Marlowe and in the
//! bare loop under callgrind.

mod callgrind;
mod part;
mod report;

use std::path::PathBuf;

use callgrind::{Function, Instructions, instructions};
use report::{Profile, Report};

use crate::feed::{Feed, Topics};
use crate::kafka::{Batches, Kafka};
use crate::machine::Machine;
use crate::outcome::Setback;
use crate::setting::Setting;
use crate::system::System;
use crate::trial::{Contestant, Trial};
use crate::work::{FEW_KEYS, Guarantee, Job, Store, Work};
use crate::{PeersResult, build, throughput};

/// Counts the instructions of an event, by function.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) setting: Setting,
}

/// The numbers of events of the two runs. Both runs start and stop, so the difference between them
/// is the cost of the events.
const EVENTS: [u64; 2] = [200_000, 800_000];

/// The time between two commits, in milliseconds. A program under callgrind is about fifty times
/// slower. There should still be as many events between two commits as usual, because each changed
/// row is written once per commit.
const COMMIT_MS: u32 = 5000;

/// Starts Kafka, runs both programs under callgrind, and writes `profile.md`.
pub(crate) fn run(arguments: &Arguments) -> PeersResult<()> {
    let setting = &arguments.setting;
    build::needs_callgrind()?;
    let (kafka, machine, mut topics) = (Kafka::start()?, Machine::this()?, Topics::new(Batches::Even));
    let mut profiles = Vec::new();
    let mut runs = 0;
    for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce] {
        for system in [System::Bare, System::Marlowe] {
            let work = Work { guarantee, cores: 1, job: Job::Count, keys: FEW_KEYS, store: Store::Memory };
            let mut taken = Vec::new();
            let events = EVENTS.map(|events| (events as f64 * setting.scale) as u64);
            for count in events {
                runs += 1;
                let feed = Feed::new(FEW_KEYS, 0, count);
                let input = topics.of(&kafka, feed)?;
                let mut trial = Trial::new(setting, &kafka, &machine, Contestant { system, cache_mb: 10 }, work, runs)?;
                trial.commit_ms = COMMIT_MS;
                let out = setting.workshop().join(format!("callgrind-{}", trial.group));
                trial.callgrind = Some(out.clone());
                throughput::run(&trial, &[feed], &[input]).map_err(|setback: Setback| setback.to_string())?;
                taken.push(read(&out)?);
                println!("{}, {}, {count} events: done", guarantee.name(), system.title());
            }
            let per_event = per_event(&taken[0], &taken[1], events[1] - events[0]);
            profiles.push(Profile { system, guarantee, per_event });
        }
    }
    let report = Report { machine: &machine, version: build::version(setting, System::Marlowe)?, profiles: &profiles };
    setting.write(&[("profile.md", report.page())])?;
    println!("the results are in {}", setting.results().display());
    Ok(())
}

fn read(path: &PathBuf) -> PeersResult<Instructions> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("callgrind wrote nothing to {}: {error}", path.display()))?;
    Ok(instructions(&text))
}

/// Returns the instructions of each function per event: the difference between two runs, of which
/// `more` had `events` more events than `fewer`.
fn per_event(fewer: &Instructions, more: &Instructions, events: u64) -> Vec<(Function, f64)> {
    let took = |of: &Instructions, function: &Function| of.get(function).copied().unwrap_or_default() as f64;
    let mut all: Vec<_> = more
        .keys()
        .map(|function| (function.clone(), (took(more, function) - took(fewer, function)) / events as f64))
        .collect();
    all.sort_by(|(a, more), (b, less)| less.total_cmp(more).then_with(|| a.cmp(b)));
    all
}

#[cfg(test)]
mod tests {
    use super::{Function, Instructions, per_event};

    #[test]
    fn starting_and_stopping_is_left_out() {
        let function = |name: &str| Function { file: String::new(), name: name.into() };
        let of = |start, event| Instructions::from([(function("start"), start), (function("event"), event)]);
        let per_event = per_event(&of(1000, 50), &of(1000, 250), 20);
        assert_eq!(per_event, [(function("event"), 10.0), (function("start"), 0.0)]);
    }
}
