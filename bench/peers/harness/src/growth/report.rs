//! The report on the curves: a page, the data and a chart.

use std::fmt::Write;

use serde::Serialize;

use super::CACHE_MB;
use super::chart::chart;
use super::curve::{Curve, Family};
use super::results::{Measured, Results, Summary};
use crate::PeersResult;
use crate::kafka::Kafka;
use crate::machine::Machine;
use crate::report::{capital, thousands};
use crate::setting::Setting;
use crate::system::System;
use crate::trial::{COMMIT_MS, SESSION_MS};
use crate::work::in_short;

/// The input of the report: the results, and the conditions of the measurement.
pub(crate) struct Report<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) machine: &'a Machine,
    pub(crate) versions: &'a [(System, String)],
    pub(crate) rounds: u32,
    pub(crate) results: &'a Results,
}

/// The content of `growth.json`.
#[derive(Serialize)]
struct Data<'a> {
    machine: &'a Machine,
    kafka: String,
    versions: &'a [(System, String)],
    rounds: u32,
    scale: f64,
    commit_ms: u32,
    session_ms: u32,
    cache_mb: u32,
    summaries: Vec<Summary>,
    runs: &'a Results,
}

impl Report<'_> {
    /// Writes `growth.md`, `growth.json` and `growth.svg`.
    pub(crate) fn write(&self) -> PeersResult<()> {
        let curves = self.results.curves();
        let data = Data {
            machine: self.machine,
            kafka: Kafka::version(),
            versions: self.versions,
            rounds: self.rounds,
            scale: self.setting.scale,
            commit_ms: COMMIT_MS,
            session_ms: SESSION_MS,
            cache_mb: CACHE_MB,
            summaries: curves.iter().flat_map(|measured| measured.summaries.clone()).collect(),
            runs: self.results,
        };
        self.setting.write(&[
            ("growth.md", self.page(&curves)),
            ("growth.json", serde_json::to_string_pretty(&data)? + "\n"),
            ("growth.svg", chart(&curves)),
        ])
    }

    fn page(&self, curves: &[Measured]) -> String {
        let mut page = String::from("# How what an event costs Marlowe grows\n\n");
        page.push_str(&self.terms());
        for family in Family::ALL {
            let own: Vec<&Measured> = curves.iter().filter(|measured| measured.curve.family() == family).collect();
            if own.is_empty() {
                continue;
            }
            let _ = writeln!(page, "\n## {}\n\n{}", capital(family.name()), family.terms());
            for measured in &own {
                if own.len() > 1 {
                    let _ = writeln!(page, "\n### {}", capital(measured.curve.title()));
                }
                let _ = write!(page, "\n{}\n{}", table(measured), verdict(measured));
            }
        }
        page
    }

    /// Returns the conditions of the measurement: the machine, the settings and the method.
    fn terms(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "Written by `cargo xtask bench growth`; the programs are in `bench/peers`, all runs in `growth.json`, the curves in \
             `growth.svg`.\n\n\
             - Machine: {}. Kafka {}, one broker, on the same machine: on the core that the program does not have, if there is \
             one.\n\
             - Rounds: {}, the points in turn; figures are medians, in brackets the least and the most. Share of the full \
             number of events: {}.\n\
             - Exactly once, a commit every {COMMIT_MS} ms, a session of {SESSION_MS} ms, a cache of {CACHE_MB} MB for tables on \
             disk. Each topic was written in batches of as many events, however many partitions it has.\n\
             - Events a second are from the first quarter of the events (several workers: of those that are left when all have their \
             partitions; many partitions: to take them over may be part of it) to the last twentieth, by the positions that are committed. CPU \
             is that of the program's processes, user and system, in the same stretch; memory the most that was their own \
             (without mapped files).\n\
             - Every answer was compared with what was sent.",
            self.machine,
            Kafka::version(),
            self.rounds,
            self.setting.scale,
        );
        for (system, version) in self.versions {
            let _ = writeln!(text, "- {}: {version}.", capital(system.title()));
        }
        text
    }
}

fn table(measured: &Measured) -> String {
    let family = measured.curve.family();
    let mut heads = vec![family.name(), "events"];
    if family == Family::Keys {
        heads.extend(["keys met", "share met"]);
    }
    heads.extend(["CPU-s per million", "events/s", "memory MB"]);
    if measured.summaries.iter().any(|summary| table_mb(summary).is_some()) {
        heads.push("table on disk MB");
    }
    heads.push("to the first");
    let mut text = format!("| {} | remarks |\n|{}---|\n", heads.join(" | "), "---:|".repeat(heads.len()));
    for summary in &measured.summaries {
        let cells = heads.iter().map(|head| cell(head, summary, &measured.summaries[0]));
        let _ = writeln!(text, "| {} | {} |", cells.collect::<Vec<_>>().join(" | "), remarks(summary));
    }
    text
}

fn cell(head: &str, summary: &Summary, first: &Summary) -> String {
    let figures = summary.figures.as_ref();
    let rows = figures.and_then(|figures| figures.rows).map(|rows| rows as f64);
    let size = summary.point.size as f64;
    let text = match head {
        "events" => figures.and_then(|figures| figures.events).map(|events| thousands(events as f64)),
        "keys met" => rows.map(thousands),
        "share met" => rows.map(|rows| format!("{:.0} %", rows / size * 100.0)),
        "CPU-s per million" => {
            with_spread(summary.cost(), summary.cpu_spread, summary.rounds, |figure| format!("{figure:.2}"))
        }
        "events/s" => {
            let speed = figures.and_then(|figures| figures.events_per_second);
            with_spread(speed, summary.speed_spread, summary.rounds, thousands)
        }
        "memory MB" => figures.and_then(|figures| figures.peak_memory_mb).map(thousands),
        "table on disk MB" => table_mb(summary).map(thousands),
        "to the first" => summary.ratio_to(first).map(|ratio| format!("{ratio:.2}")),
        _ => Some(thousands(size)),
    };
    text.unwrap_or_else(|| "–".into())
}

fn with_spread(
    figure: Option<f64>,
    spread: Option<(f64, f64)>,
    rounds: usize,
    shown: fn(f64) -> String,
) -> Option<String> {
    match spread {
        Some((least, most)) if rounds > 1 => Some(format!("{} ({}–{})", shown(figure?), shown(least), shown(most))),
        _ => figure.map(shown),
    }
}

fn table_mb(summary: &Summary) -> Option<f64> {
    summary.figures.as_ref()?.table_mb
}

fn remarks(summary: &Summary) -> String {
    let note = summary.figures.as_ref().and_then(|figures| figures.note.clone());
    let setback = summary.setback.as_ref().map(|setback| setback.to_string().replace('|', "\\|"));
    setback.into_iter().chain(note).collect::<Vec<_>>().join("; ")
}

/// Returns a text that says how the cost grows along a curve.
fn verdict(measured: &Measured) -> String {
    let name = measured.curve.family().name();
    let mut text = String::new();
    if let Some((first, last, ratio)) = measured.growth() {
        let (first, last) = (in_short(first.point.size), in_short(last.point.size));
        let _ = writeln!(text, "An event costs {ratio:.2} times as much with {last} {name} as with {first}.");
    }
    if measured.curve == Curve::Partitions {
        for size in [4, 1] {
            if let Some((farthest, percent)) = measured.farthest_from(size) {
                let farthest = in_short(farthest.point.size);
                let _ = writeln!(
                    text,
                    "What differs most from the cost with {size}: with {farthest} {name} it is {percent:+.1} %."
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{table, verdict};
    use crate::figures::Figures;
    use crate::growth::curve::{Curve, Point};
    use crate::growth::results::Results;
    use crate::outcome::Setback;

    fn figures(seconds: f64) -> Figures {
        Figures {
            events: Some(5000),
            events_per_second: Some(1e6 / seconds),
            cpu_seconds_per_million: Some(seconds),
            peak_memory_mb: Some(50.0),
            ..Figures::default()
        }
    }

    #[test]
    fn a_table_compares_each_point_with_the_first() {
        let mut results = Results::default();
        let mut add = |round, size, outcome| results.add(round, Point { curve: Curve::Partitions, size }, outcome);
        add(1, 1, Ok(figures(0.5)));
        add(1, 4, Ok(figures(1.0)));
        add(2, 4, Ok(figures(2.0)));
        add(1, 1000, Err(Setback::Failed("no | leader".into())));
        let expected = "\
            | partitions | events | CPU-s per million | events/s | memory MB | to the first | remarks |\n\
            |---:|---:|---:|---:|---:|---:|---|\n\
            | 1 | 5,000 | 0.50 | 2,000,000 | 50 | 1.00 |  |\n\
            | 4 | 5,000 | 1.50 (1.00–2.00) | 750,000 (500,000–1,000,000) | 50 | 3.00 |  |\n\
            | 1,000 | – | – | – | – | – | failed: no \\| leader |\n";
        assert_eq!(table(&results.curves()[0]), expected);
    }

    #[test]
    fn a_table_of_keys_shows_how_many_were_met() {
        let mut results = Results::default();
        let met = Figures { rows: Some(500_000), table_mb: Some(20.0), ..figures(1.0) };
        results.add(1, Point { curve: Curve::Keys, size: 1_000_000 }, Ok(met));
        let table = table(&results.curves()[0]);
        assert!(
            table.contains("| 1,000,000 | 5,000 | 500,000 | 50 % | 1.00 | 1,000,000 | 50 | 20 | 1.00 |"),
            "{table}"
        );
    }

    #[test]
    fn the_verdict_names_the_largest_deviation() {
        let mut results = Results::default();
        for (size, seconds) in [(1, 1.0), (4, 0.8), (1000, 1.2)] {
            results.add(1, Point { curve: Curve::Partitions, size }, Ok(figures(seconds)));
        }
        let expected = "\
            An event costs 1.20 times as much with 1k partitions as with 1.\n\
            What differs most from the cost with 4: with 1k partitions it is +50.0 %.\n\
            What differs most from the cost with 1: with 1k partitions it is +20.0 %.\n";
        assert_eq!(verdict(&results.curves()[0]), expected);
    }
}
