//! `cargo xtask bench growth`: how the cost of an event in Marlowe grows with partitions, keys,
//! agents and workers.
//!
//! `curve` says what is measured, this file runs the rounds, and `report` writes the results.

mod arguments;
mod chart;
mod curve;
mod report;
mod results;

use std::time::Instant;

pub(crate) use arguments::Arguments;
use curve::Point;
use report::Report;
use results::Results;

use crate::answer::truth;
use crate::feed::Topics;
use crate::kafka::{Batches, Kafka};
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::trial::{Contestant, Trial};
use crate::{PeersResult, build, throughput};

/// The cache of tables, in megabytes. It is as large as in the comparison of the peers.
const CACHE_MB: u32 = 10;

/// The state of a measurement over all rounds and points.
struct Growth<'a> {
    arguments: &'a Arguments,
    kafka: &'a Kafka,
    machine: Machine,
    topics: Topics,
    results: Results,
    runs: usize,
}

/// Starts Kafka, measures, and writes the report after each round.
pub(crate) fn run(arguments: &Arguments) -> PeersResult<()> {
    let setting = &arguments.setting;
    let mut versions = Vec::new();
    for system in arguments.systems() {
        versions.push((system, build::version(setting, system)?));
    }
    let kafka = Kafka::start()?;
    let mut growth = Growth {
        arguments,
        kafka: &kafka,
        machine: Machine::this()?,
        // The size of batches must not grow with the measured quantity.
        topics: Topics::new(Batches::Even),
        results: Results::default(),
        runs: 0,
    };
    for round in 1..=setting.rounds {
        // The points take turns, so that other load on the machine affects all of them alike.
        for point in arguments.points() {
            growth.round(round, point);
        }
        let report =
            Report { setting, machine: &growth.machine, versions: &versions, rounds: round, results: &growth.results };
        report.write()?;
    }
    println!("the results are in {}", setting.results().display());
    match growth.results.wrong() {
        0 => Ok(()),
        wrong => Err(format!("{wrong} runs gave a wrong answer: see the report").into()),
    }
}

impl Growth<'_> {
    fn round(&mut self, round: u32, point: Point) {
        if self.results.is_settled(point) {
            return;
        }
        let begun = Instant::now();
        let outcome = self.measure(point);
        let shown = match &outcome {
            Ok(figures) => serde_json::to_string(figures).unwrap_or_default(),
            Err(setback) => setback.to_string(),
        };
        println!("round {round}, {point}, in {:.0} s: {shown}", begun.elapsed().as_secs_f64());
        self.results.add(round, point, outcome);
    }

    fn measure(&mut self, point: Point) -> Outcome {
        let feeds = point.feeds(self.arguments.setting.scale);
        let mut inputs = Vec::new();
        for feed in &feeds {
            inputs.push(self.topics.of(self.kafka, *feed)?);
        }
        self.runs += 1;
        let contestant = Contestant { system: point.curve.system(), cache_mb: CACHE_MB };
        let (setting, work) = (&self.arguments.setting, point.work());
        let mut trial = Trial::new(setting, self.kafka, &self.machine, contestant, work, self.runs)?;
        trial.processes = (point.workers(), 1);
        trial.begin = point.begin();
        let mut figures = throughput::run(&trial, &feeds, &inputs)?;
        figures.events = Some(feeds.iter().map(|feed| feed.count).sum());
        figures.rows = Some(truth(work.job, &feeds).rows().count() as u64);
        figures.table_mb = trial.table_mb();
        Ok(figures)
    }
}
