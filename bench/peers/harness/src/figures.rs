//! The figures of one run, and the median over several runs.

use serde::Serialize;

/// The results of one run. A figure that does not apply is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Events per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events_per_second: Option<f64>,
    /// Processor time per million events, in seconds: of all threads, user and system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_seconds_per_million: Option<f64>,
    /// The peak of the processes' own memory, in megabytes (10^6 bytes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory_mb: Option<f64>,
    /// The peak of resident memory, with mapped files, in megabytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_resident_mb: Option<f64>,
    /// The number of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<u64>,
    /// The number of rows in the table at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<u64>,
    /// The size of the table on disk at the end, in megabytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) table_mb: Option<f64>,
    /// The time that the run took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// The median latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    /// The 99th percentile of the latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// Reads per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reads_per_second: Option<f64>,
    /// Events sent per second, where the rate was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent_per_second: Option<f64>,
    /// The number of surplus counts, which at least once allows.
    pub(crate) over: u64,
    /// A remark for the reader of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Figures {
    /// Returns the median of each figure over all runs, or `None` without runs.
    pub(crate) fn median(runs: &[&Figures]) -> Option<Figures> {
        let first = runs.first()?;
        let of = |figure: fn(&Figures) -> Option<f64>| median(runs.iter().filter_map(|run| figure(run)).collect());
        Some(Figures {
            events_per_second: of(|run| run.events_per_second),
            cpu_seconds_per_million: of(|run| run.cpu_seconds_per_million),
            peak_memory_mb: of(|run| run.peak_memory_mb),
            peak_resident_mb: of(|run| run.peak_resident_mb),
            events: first.events,
            rows: first.rows,
            table_mb: of(|run| run.table_mb),
            seconds: of(|run| run.seconds),
            p50_ms: of(|run| run.p50_ms),
            p99_ms: of(|run| run.p99_ms),
            reads_per_second: of(|run| run.reads_per_second),
            sent_per_second: of(|run| run.sent_per_second),
            over: runs.iter().map(|run| run.over).max().unwrap_or_default(),
            note: first.note.clone(),
        })
    }
}

/// Returns the figure in the middle, or the mean of the two figures there.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(figures[middle]),
        _ => Some(f64::midpoint(figures[middle - 1], figures[middle])),
    }
}

/// Returns the lowest and the highest figure.
pub(crate) fn spread(figures: &[f64]) -> Option<(f64, f64)> {
    let least = figures.iter().copied().min_by(f64::total_cmp)?;
    let most = figures.iter().copied().max_by(f64::total_cmp)?;
    Some((least, most))
}

#[cfg(test)]
mod tests {
    use super::{Figures, median, spread};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let run = |speed, memory| Figures {
            events_per_second: Some(speed),
            peak_memory_mb: Some(memory),
            ..Figures::default()
        };
        let (a, b, c) = (run(1.0, 30.0), run(2.0, 10.0), run(3.0, 20.0));
        let median = Figures::median(&[&a, &b, &c]);
        assert_eq!(median, Some(run(2.0, 20.0)));
    }
}
