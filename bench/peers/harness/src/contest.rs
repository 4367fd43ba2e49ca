//! The comparison of all systems: rounds, works, and a report after each round.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::feed::{Feed, Topics};
use crate::kafka::{Batches, Kafka};
use crate::latency::MOST_PER_SECOND;
use crate::machine::Machine;
use crate::outcome::{Outcome, Setback};
use crate::report::Report;
use crate::results::Results;
use crate::system::System;
use crate::trial::{Contestant, Trial};
use crate::work::{Job, Work};
use crate::{PeersResult, build, failover, latency, restore, throughput};

/// The state of a comparison over all rounds, works and systems.
struct Contest<'a> {
    arguments: &'a Arguments,
    kafka: &'a Kafka,
    machine: Machine,
    topics: Topics,
    results: Results,
    runs: usize,
}

/// Builds the chosen systems, starts Kafka, measures, and writes the report after each round.
pub(crate) fn run(arguments: &Arguments) -> PeersResult<()> {
    let mut versions = Vec::new();
    for system in arguments.systems() {
        build::build(&arguments.setting, system)?;
        versions.push((system, build::version(&arguments.setting, system)?));
    }
    let kafka = Kafka::start()?;
    let mut contest = Contest {
        arguments,
        kafka: &kafka,
        machine: Machine::this()?,
        topics: Topics::new(Batches::Early),
        results: Results::default(),
        runs: 0,
    };
    for round in 1..=arguments.setting.rounds {
        for work in Work::all(arguments) {
            // The systems take turns, so that other load on the machine affects all of them alike.
            for system in arguments.systems() {
                for &cache_mb in system.caches(work.job) {
                    contest.round(round, Contestant { system, cache_mb }, work);
                }
            }
        }
        let report = Report {
            arguments,
            machine: &contest.machine,
            versions: &versions,
            rounds: round,
            results: &contest.results,
        };
        report.write()?;
    }
    println!("the results are in {}", arguments.setting.results().display());
    match contest.results.wrong() {
        0 => Ok(()),
        wrong => Err(format!("{wrong} runs gave a wrong answer: see the report").into()),
    }
}

impl Contest<'_> {
    fn round(&mut self, round: u32, contestant: Contestant, work: Work) {
        if self.results.is_settled(contestant, &work) {
            return;
        }
        let begun = Instant::now();
        let mut outcome = self.measure(contestant, work);
        if let Ok(figures) = &mut outcome
            && contestant.system.store(&work) != work.store
            && figures.note.is_none()
            && work.job.of_program() != "pass"
        {
            figures.note = Some("its rows are on disk: it has no other store".into());
        }
        let Contestant { system, cache_mb } = contestant;
        let shown = match &outcome {
            Ok(figures) => serde_json::to_string(figures).unwrap_or_default(),
            Err(setback) => setback.to_string(),
        };
        println!(
            "round {round}, {}, {} core(s), {}: {} (cache {cache_mb} MB), in {:.0} s: {shown}",
            work.guarantee.name(),
            work.cores,
            work.title(),
            system.title(),
            begun.elapsed().as_secs_f64(),
        );
        self.results.add(round, contestant, work, outcome);
    }

    fn measure(&mut self, contestant: Contestant, work: Work) -> Outcome {
        if let Some(reason) = contestant.system.not_possible(&work) {
            return Err(Setback::NotPossible(reason.into()));
        }
        if let Some(refusal) = self.results.refusal(contestant.system, &work) {
            return Err(refusal);
        }
        match work.job {
            Job::Restore => restore::run(&self.trial(contestant, work)?),
            Job::Failover => failover::run(&self.trial(contestant, work)?),
            Job::Latency => {
                let speed = match self.results.pass_speed(contestant.system, work.guarantee) {
                    Some(speed) => Some(speed),
                    None => self.measure(contestant, Work { job: Job::Pass, ..work })?.events_per_second,
                };
                let half = speed.unwrap_or_default() / 2.0;
                let mut outcome = latency::run(&self.trial(contestant, work)?, MOST_PER_SECOND.min(half as u64).max(1));
                if let Ok(figures) = &mut outcome
                    && half > MOST_PER_SECOND as f64
                    && figures.note.is_none()
                {
                    figures.note = Some(format!("half of its load would be {half:.0} events/s"));
                }
                outcome
            }
            _ => {
                let feeds = feeds(contestant.system, &work, self.arguments.setting.scale);
                let mut inputs = Vec::new();
                for feed in &feeds {
                    inputs.push(self.topics.of(self.kafka, *feed)?);
                }
                throughput::run(&self.trial(contestant, work)?, &feeds, &inputs)
            }
        }
    }

    fn trial(&mut self, contestant: Contestant, work: Work) -> PeersResult<Trial<'_>> {
        self.runs += 1;
        Trial::new(&self.arguments.setting, self.kafka, &self.machine, contestant, work, self.runs)
    }
}

/// Returns the feeds that a system reads in a work. Two topics together have as many events as one.
fn feeds(system: System, work: &Work, scale: f64) -> Vec<Feed> {
    let (keys, count) = (work.keys, system.events(work.job, scale));
    match work.job {
        Job::Shared => (0..2).map(|seed| Feed::new(keys, seed, count / 2)).collect(),
        _ => vec![Feed::new(keys, 0, count)],
    }
}

#[cfg(test)]
mod tests {
    use super::feeds;
    use crate::system::System;
    use crate::work::{Guarantee, Job, Store, Work};

    #[test]
    fn two_topics_have_as_many_events_as_one() {
        let of = |job| {
            let work = Work { guarantee: Guarantee::ExactlyOnce, cores: 1, job, keys: 100, store: Store::Memory };
            feeds(System::Goka, &work, 0.5).iter().map(|feed| feed.count).sum::<u64>()
        };
        assert_eq!(of(Job::Shared), of(Job::Count));
    }
}
