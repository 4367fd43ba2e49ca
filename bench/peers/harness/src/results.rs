//! The results of all runs, summed up by work and system.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::figures::{Figures, median, spread};
use crate::outcome::{Outcome, Setback};
use crate::system::System;
use crate::trial::Contestant;
use crate::work::{Guarantee, Job, Work};

/// All runs so far.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Results {
    runs: Vec<Run>,
}

/// A run and its outcome.
#[derive(Serialize)]
struct Run {
    round: u32,
    contestant: Contestant,
    work: Work,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setback: Option<Setback>,
}

/// The results of a system in a work over all rounds.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) system: System,
    pub(crate) work: Work,
    /// The cache size with which it was best.
    pub(crate) cache_mb: u32,
    /// The number of rounds that have figures.
    pub(crate) rounds: usize,
    /// The medians.
    pub(crate) figures: Option<Figures>,
    /// The lowest and the highest value of the work's main figure: events per second, seconds, or
    /// p99.
    pub(crate) spread: Option<(f64, f64)>,
    /// A setback of some round. A wrong answer comes first.
    pub(crate) setback: Option<Setback>,
}

impl Results {
    pub(crate) fn add(&mut self, round: u32, contestant: Contestant, work: Work, outcome: Outcome) {
        let (figures, setback) = match outcome {
            Ok(figures) => (Some(figures), None),
            Err(setback) => (None, Some(setback)),
        };
        self.runs.push(Run { round, contestant, work, figures, setback });
    }

    /// Returns whether the work need not be tried again: it is not possible, or one try already
    /// took too long.
    pub(crate) fn is_settled(&self, contestant: Contestant, work: &Work) -> bool {
        /// The seconds above which a run is not repeated.
        const LONG: f64 = 90.0;
        let of = |run: &&Run| run.contestant == contestant && run.work == *work;
        self.runs.iter().filter(of).any(|run| {
            let seconds = run.figures.as_ref().and_then(|figures| figures.seconds);
            matches!(run.setback, Some(Setback::NotPossible(_) | Setback::TookTooLong(_)))
                || seconds.is_some_and(|seconds| seconds > LONG)
        })
    }

    /// Returns the refusal of a system's program, if it was already asked for the same job with
    /// another number of events. A program that refuses once refuses always.
    pub(crate) fn refusal(&self, system: System, work: &Work) -> Option<Setback> {
        let asked = |work: &Work| (work.guarantee, work.job.of_program(), system.store(work));
        let of = |run: &&Run| run.contestant.system == system && asked(&run.work) == asked(work);
        let refused = |run: &Run| run.setback.clone().filter(|setback| matches!(setback, Setback::NotPossible(_)));
        self.runs.iter().filter(of).find_map(refused)
    }

    /// Returns the events per second that a system passes through on one core, from the runs so
    /// far.
    pub(crate) fn pass_speed(&self, system: System, guarantee: Guarantee) -> Option<f64> {
        let of = |run: &&Run| {
            let Work { job, guarantee: run_guarantee, cores, .. } = run.work;
            (run.contestant.system, job, run_guarantee, cores) == (system, Job::Pass, guarantee, 1)
        };
        median(self.runs.iter().filter(of).filter_map(|run| run.figures.as_ref()?.events_per_second).collect())
    }

    /// Returns the works, in the order of the report.
    pub(crate) fn works(&self) -> Vec<Work> {
        self.runs.iter().map(|run| run.work).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns one summary for each system in a work. It is that of the better cache size.
    pub(crate) fn summaries(&self, work: &Work) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = Vec::new();
        let contestants: BTreeSet<Contestant> =
            self.runs.iter().filter(|run| run.work == *work).map(|run| run.contestant).collect();
        for contestant in contestants {
            let summary = self.summary(contestant, work);
            match summaries.iter_mut().find(|other| other.system == contestant.system) {
                Some(other) if summary.goodness() > other.goodness() => *other = summary,
                Some(_) => {}
                None => summaries.push(summary),
            }
        }
        summaries
    }

    fn summary(&self, contestant: Contestant, work: &Work) -> Summary {
        let runs: Vec<&Run> =
            self.runs.iter().filter(|run| run.contestant == contestant && run.work == *work).collect();
        let measured: Vec<&Figures> = runs.iter().filter_map(|run| run.figures.as_ref()).collect();
        let all: Vec<f64> = measured.iter().filter_map(|figures| subject(work.job, figures)).collect();
        let setbacks = || runs.iter().filter_map(|run| run.setback.as_ref());
        let wrong = setbacks().find(|setback| matches!(setback, Setback::Wrong(_)));
        Summary {
            system: contestant.system,
            work: *work,
            cache_mb: contestant.cache_mb,
            rounds: measured.len(),
            figures: Figures::median(&measured),
            spread: spread(&all),
            setback: wrong.or_else(|| setbacks().next()).cloned(),
        }
    }

    /// Returns the number of runs with a wrong answer.
    pub(crate) fn wrong(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run.setback, Some(Setback::Wrong(_)))).count()
    }
}

impl Summary {
    /// Returns the main figure of the work.
    pub(crate) fn subject(&self) -> Option<f64> {
        subject(self.work.job, self.figures.as_ref()?)
    }

    /// Returns how many times better this is than `other`, by the work's main figure.
    pub(crate) fn ratio_to(&self, other: &Summary) -> Option<f64> {
        let (own, other) = (self.subject()?, other.subject()?);
        Some(if is_speed(self.work.job) { own / other } else { other / own })
    }

    /// Returns the CPU that this needs for the same number of events, as a multiple of that of
    /// `other`.
    pub(crate) fn cpu_ratio_to(&self, other: &Summary) -> Option<f64> {
        let cpu = |summary: &Summary| summary.figures.as_ref()?.cpu_seconds_per_million.filter(|cpu| *cpu > 0.0);
        Some(cpu(self)? / cpu(other)?)
    }

    /// Returns a rating. A higher one is better, and a summary without a figure has the lowest.
    fn goodness(&self) -> f64 {
        match self.subject() {
            None => f64::NEG_INFINITY,
            Some(figure) if is_speed(self.work.job) => figure,
            Some(figure) => -figure,
        }
    }
}

/// Returns whether a work is about events per second. If not, it is about time.
pub(crate) fn is_speed(job: Job) -> bool {
    !matches!(job, Job::Restore | Job::Failover | Job::Latency)
}

fn subject(job: Job, figures: &Figures) -> Option<f64> {
    match job {
        Job::Restore | Job::Failover => figures.seconds,
        Job::Latency => figures.p99_ms,
        _ => figures.events_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::figures::Figures;
    use crate::outcome::Setback;
    use crate::system::System;
    use crate::trial::Contestant;
    use crate::work::{Guarantee, Job, Store, Work};

    const WORK: Work =
        Work { guarantee: Guarantee::ExactlyOnce, cores: 1, job: Job::Count, keys: 10_000, store: Store::Memory };

    fn speed(events_per_second: f64) -> Figures {
        Figures { events_per_second: Some(events_per_second), ..Figures::default() }
    }

    #[test]
    fn the_better_of_two_caches_counts() {
        let mut results = Results::default();
        for (cache_mb, speeds) in [(0, [5.0, 7.0, 6.0]), (10, [9.0, 1.0, 2.0])] {
            for figure in speeds {
                results.add(1, Contestant { system: System::KafkaStreams, cache_mb }, WORK, Ok(speed(figure)));
            }
        }
        let summaries = results.summaries(&WORK);
        assert_eq!(summaries.len(), 1);
        assert_eq!((summaries[0].cache_mb, summaries[0].subject()), (0, Some(6.0)));
        assert_eq!(summaries[0].spread, Some((5.0, 7.0)));
    }

    #[test]
    fn a_refusal_holds_for_all_jobs_with_the_same_request() {
        let mut results = Results::default();
        let goka = Contestant { system: System::Goka, cache_mb: 10 };
        results.add(1, goka, WORK, Err(Setback::NotPossible("no transactions".into())));
        let restore = Work { job: Job::Restore, keys: 5_000_000, ..WORK };
        assert!(results.refusal(System::Goka, &restore).is_some());
        assert!(results.refusal(System::Goka, &Work { store: Store::Disk, ..restore }).is_none());
        assert!(results.refusal(System::Goka, &Work { job: Job::Pass, ..WORK }).is_none());
        assert!(results.refusal(System::Faust, &restore).is_none());
    }

    #[test]
    fn a_long_restore_is_not_repeated() {
        let mut results = Results::default();
        let faust = Contestant { system: System::Faust, cache_mb: 10 };
        let figures = |seconds| Figures { seconds: Some(seconds), ..Figures::default() };
        results.add(1, faust, WORK, Ok(figures(80.0)));
        assert!(!results.is_settled(faust, &WORK));
        results.add(2, faust, WORK, Ok(figures(100.0)));
        assert!(results.is_settled(faust, &WORK));
    }

    #[test]
    fn one_wrong_round_shows() {
        let mut results = Results::default();
        let contestant = Contestant { system: System::Marlowe, cache_mb: 10 };
        results.add(1, contestant, WORK, Ok(speed(1.0)));
        results.add(2, contestant, WORK, Err(Setback::Wrong("1 lost".into())));
        assert_eq!(results.summaries(&WORK)[0].setback, Some(Setback::Wrong("1 lost".into())));
        assert_eq!(results.wrong(), 1);
    }
}
