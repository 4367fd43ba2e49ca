//! The report on the comparison: a page, the data and a chart.

use std::fmt::Write;

use serde::Serialize;

use crate::PeersResult;
use crate::arguments::Arguments;
use crate::chart::chart;
use crate::kafka::{Kafka, PARTITIONS};
use crate::machine::Machine;
use crate::results::{Results, Summary, is_speed};
use crate::system::System;
use crate::trial::{COMMIT_MS, SESSION_MS};
use crate::work::{Job, Work};

/// The input of the report: the results, and the conditions of the comparison.
pub(crate) struct Report<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) machine: &'a Machine,
    pub(crate) versions: &'a [(System, String)],
    pub(crate) rounds: u32,
    pub(crate) results: &'a Results,
}

/// The content of `peers.json`.
#[derive(Serialize)]
struct Data<'a> {
    machine: &'a Machine,
    kafka: String,
    versions: &'a [(System, String)],
    rounds: u32,
    scale: f64,
    partitions: i32,
    commit_ms: u32,
    session_ms: u32,
    summaries: Vec<Summary>,
    runs: &'a Results,
}

impl Report<'_> {
    /// Writes `peers.md`, `peers.json` and `peers.svg`.
    pub(crate) fn write(&self) -> PeersResult<()> {
        let data = Data {
            machine: self.machine,
            kafka: Kafka::version(),
            versions: self.versions,
            rounds: self.rounds,
            scale: self.arguments.setting.scale,
            partitions: PARTITIONS,
            commit_ms: COMMIT_MS,
            session_ms: SESSION_MS,
            summaries: self.results.works().iter().flat_map(|work| self.results.summaries(work)).collect(),
            runs: self.results,
        };
        self.arguments.setting.write(&[
            ("peers.md", self.page()),
            ("peers.json", serde_json::to_string_pretty(&data)? + "\n"),
            ("peers.svg", chart(self.results)),
        ])
    }

    fn page(&self) -> String {
        let mut page = String::from("# Marlowe beside its peers\n\n");
        page.push_str(&self.terms());
        let mut last = None;
        for work in self.results.works() {
            let part = (work.guarantee, work.cores);
            if last.replace(part) != Some(part) {
                let cores = if work.cores == 1 { "one core".into() } else { format!("{} cores", work.cores) };
                let _ = writeln!(page, "\n## {}, {cores}", capital(work.guarantee.name()).replace('-', " "));
            }
            let _ = writeln!(page, "\n### {}\n", capital(&work.title()));
            page.push_str(&table(&work, &self.results.summaries(&work)));
        }
        page
    }

    /// Returns the conditions of the comparison: the machine, the settings and the method.
    fn terms(&self) -> String {
        let mut text = String::new();
        let scale = self.arguments.setting.scale;
        let _ = writeln!(
            text,
            "Written by `cargo xtask bench peers`; the programs are in `bench/peers`, all runs in `peers.json`.\n\n\
             - Machine: {}. Kafka {}, one broker, on the same machine: \
             on the cores that the system does not have, if there are some.\n\
             - Rounds: {}, the systems in turn; figures are medians, in brackets the least and the most. Share of the full \
             number of events and keys: {scale}.\n\
             - The same for all: {PARTITIONS} partitions, a commit every {COMMIT_MS} ms, a session of {SESSION_MS} ms, a cache \
             of 10 MB (Kafka Streams counts also without one: the better of both is shown).\n\
             - Events a second are from the first quarter of the events (the JVM compiles meanwhile) to the last twentieth, by the positions that are committed; after \
             regrouping and for one count of all, to when all is done. Ratios of events a second and of time say by how many times a system is better; those of CPU, \
             how many times it takes. CPU is that of the system's processes, for a million events (restore: rows), memory the most \
             that was their own (without mapped files).\n\
             - Every answer was compared with what was sent. At least once, events that were counted once more are told; one that \
             is lost is an error.",
            self.machine,
            Kafka::version(),
            self.rounds,
        );
        for (system, version) in self.versions {
            let events = system.events(Job::Count, scale);
            let _ = writeln!(
                text,
                "- {}: {version}; {} events, a third of them where they go through a second topic.",
                system.title(),
                thousands(events as f64)
            );
        }
        text
    }
}

fn table(work: &Work, summaries: &[Summary]) -> String {
    let mut text = match work.job {
        Job::Restore | Job::Failover => String::from("| system | seconds |"),
        Job::Latency => String::from("| system | events/s sent | p50 ms | p99 ms |"),
        Job::Serve => String::from("| system | events/s | reads/s | p50 ms | p99 ms |"),
        _ => String::from("| system | events/s |"),
    };
    text.push_str(
        " to the limit | to Marlowe | CPU-s per million | to the limit | to Marlowe | memory MB | remarks |\n|---|",
    );
    text.push_str(&"---:|".repeat(text.matches('|').count() - 5));
    text.push_str("---|\n");
    let find = |system| summaries.iter().find(|summary| summary.system == system);
    for summary in summaries {
        let ratios = |ratio: fn(&Summary, &Summary) -> Option<f64>| {
            [System::Bare, System::Marlowe].map(|system| {
                let ratio = find(system).and_then(|other| ratio(summary, other));
                ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"))
            })
        };
        text.push_str(&row(summary, ratios(Summary::ratio_to), ratios(Summary::cpu_ratio_to)));
    }
    text
}

fn row(summary: &Summary, ratios: [String; 2], cpu_ratios: [String; 2]) -> String {
    let job = summary.work.job;
    let figures = summary.figures.clone().unwrap_or_default();
    let number = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(
            || "–".into(),
            |figure| if digits == 0 { thousands(figure) } else { format!("{figure:.digits$}") },
        )
    };
    let digits = if is_speed(job) { 0 } else { 1 };
    let subject = match summary.spread {
        Some((least, most)) if summary.rounds > 1 => {
            let (least, most) = (number(Some(least), digits), number(Some(most), digits));
            format!("{} ({least}–{most})", number(summary.subject(), digits))
        }
        _ => number(summary.subject(), digits),
    };
    let mut cells = vec![summary.system.title().to_owned()];
    match job {
        Job::Latency => cells.extend([number(figures.sent_per_second, 0), number(figures.p50_ms, 1), subject]),
        Job::Serve => cells.extend([
            subject,
            number(figures.reads_per_second, 0),
            number(figures.p50_ms, 2),
            number(figures.p99_ms, 2),
        ]),
        _ => cells.push(subject),
    }
    cells.extend(ratios);
    cells.push(number(figures.cpu_seconds_per_million, 2));
    cells.extend(cpu_ratios);
    cells.push(number(figures.peak_memory_mb, 0));
    cells.push(remarks(summary, figures.over, figures.note));
    format!("| {} |\n", cells.join(" | "))
}

fn remarks(summary: &Summary, over: u64, note: Option<String>) -> String {
    let mut remarks = Vec::new();
    if let Some(setback) = &summary.setback {
        remarks.push(setback.to_string().replace('|', "\\|"));
    }
    if over > 0 {
        remarks.push(format!("{over} events counted once more"));
    }
    remarks.extend(note);
    if summary.cache_mb != 10 {
        remarks.push(format!("cache of {} MB", summary.cache_mb));
    }
    remarks.join("; ")
}

/// Formats a number with commas between its thousands.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns `text` with a capital first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::{table, thousands};
    use crate::figures::Figures;
    use crate::outcome::Setback;
    use crate::results::Results;
    use crate::system::System;
    use crate::trial::Contestant;
    use crate::work::{Guarantee, Job, Store, Work};

    #[test]
    fn numbers_have_commas() {
        assert_eq!(thousands(1_234_567.4), "1,234,567");
        assert_eq!((thousands(999.0), thousands(0.0)), ("999".into(), "0".into()));
    }

    #[test]
    fn a_table_shows_ratios_or_reasons_of_all_systems() {
        let work =
            Work { guarantee: Guarantee::ExactlyOnce, cores: 1, job: Job::Count, keys: 10_000, store: Store::Memory };
        let mut results = Results::default();
        let mut add = |system, outcome| results.add(1, Contestant { system, cache_mb: 10 }, work, outcome);
        let figures = |speed, cpu| {
            let (events_per_second, cpu_seconds_per_million) = (Some(speed), Some(cpu));
            Ok(Figures { events_per_second, cpu_seconds_per_million, ..Figures::default() })
        };
        add(System::Bare, figures(1000.0, 0.4));
        add(System::Marlowe, figures(500.0, 0.5));
        add(System::Goka, Err(Setback::NotPossible("no transactions".into())));
        let expected = "\
            | system | events/s | to the limit | to Marlowe | CPU-s per million | to the limit | to Marlowe | memory MB | remarks |\n\
            |---|---:|---:|---:|---:|---:|---:|---:|---|\n\
            | bare loop | 1,000 | 1.00 | 2.00 | 0.40 | 1.00 | 0.80 | – |  |\n\
            | Marlowe | 500 | 0.50 | 1.00 | 0.50 | 1.25 | 1.00 | – |  |\n\
            | Goka | – | – | – | – | – | – | – | not possible: no transactions |\n";
        assert_eq!(table(&work, &results.summaries(&work)), expected);
    }
}
