//! The results of all runs, summed up by point and curve.

use serde::Serialize;

use super::curve::{Curve, Point};
use crate::figures::{Figures, spread};
use crate::outcome::{Outcome, Setback};

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
    point: Point,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setback: Option<Setback>,
}

/// The results of a point over all rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) point: Point,
    /// The number of rounds that have figures.
    pub(crate) rounds: usize,
    /// The medians.
    pub(crate) figures: Option<Figures>,
    /// The lowest and the highest processor time per million events, in seconds.
    pub(crate) cpu_spread: Option<(f64, f64)>,
    /// The lowest and the highest number of events per second.
    pub(crate) speed_spread: Option<(f64, f64)>,
    /// A setback of some round. A wrong answer comes first.
    pub(crate) setback: Option<Setback>,
}

/// A curve with its points that were tried, from the smallest to the largest.
pub(crate) struct Measured {
    pub(crate) curve: Curve,
    pub(crate) summaries: Vec<Summary>,
}

impl Results {
    pub(crate) fn add(&mut self, round: u32, point: Point, outcome: Outcome) {
        let (figures, setback) = match outcome {
            Ok(figures) => (Some(figures), None),
            Err(setback) => (None, Some(setback)),
        };
        self.runs.push(Run { round, point, figures, setback });
    }

    /// Returns whether the point need not be tried again, because it took too long.
    pub(crate) fn is_settled(&self, point: Point) -> bool {
        let took_too_long = |run: &Run| matches!(run.setback, Some(Setback::TookTooLong(_)));
        self.runs.iter().any(|run| run.point == point && took_too_long(run))
    }

    /// Returns the number of runs with a wrong answer.
    pub(crate) fn wrong(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run.setback, Some(Setback::Wrong(_)))).count()
    }

    /// Returns the curves that were tried, in the order of the report.
    pub(crate) fn curves(&self) -> Vec<Measured> {
        let is_tried = |point: &Point| self.runs.iter().any(|run| run.point == *point);
        let measured = |curve: Curve| Measured {
            curve,
            summaries: curve.points().filter(is_tried).map(|point| self.summary(point)).collect(),
        };
        Curve::ALL.into_iter().map(measured).filter(|measured| !measured.summaries.is_empty()).collect()
    }

    fn summary(&self, point: Point) -> Summary {
        let runs: Vec<&Run> = self.runs.iter().filter(|run| run.point == point).collect();
        let measured: Vec<&Figures> = runs.iter().filter_map(|run| run.figures.as_ref()).collect();
        let spread_of = |figure: fn(&Figures) -> Option<f64>| {
            spread(&measured.iter().filter_map(|figures| figure(figures)).collect::<Vec<_>>())
        };
        let setbacks = || runs.iter().filter_map(|run| run.setback.as_ref());
        let wrong = setbacks().find(|setback| matches!(setback, Setback::Wrong(_)));
        Summary {
            point,
            rounds: measured.len(),
            figures: Figures::median(&measured),
            cpu_spread: spread_of(|figures| figures.cpu_seconds_per_million),
            speed_spread: spread_of(|figures| figures.events_per_second),
            setback: wrong.or_else(|| setbacks().next()).cloned(),
        }
    }
}

impl Summary {
    /// Returns the cost of a million events at this point, in seconds of processor time.
    pub(crate) fn cost(&self) -> Option<f64> {
        self.figures.as_ref()?.cpu_seconds_per_million
    }

    /// Returns the cost of an event here as a multiple of the cost at `other`.
    pub(crate) fn ratio_to(&self, other: &Summary) -> Option<f64> {
        // In a trial with few events, the processor's clock may not advance.
        Some(self.cost()? / other.cost().filter(|cost| *cost > 0.0)?)
    }
}

impl Measured {
    /// Returns the point of this size, if it was tried.
    pub(crate) fn at(&self, size: u64) -> Option<&Summary> {
        self.summaries.iter().find(|summary| summary.point.size == size)
    }

    /// Returns the first point, the last point, and the cost at the last as a multiple of the cost
    /// at the first.
    pub(crate) fn growth(&self) -> Option<(&Summary, &Summary, f64)> {
        let (first, last) = (self.summaries.first()?, self.summaries.last()?);
        Some((first, last, last.ratio_to(first)?))
    }

    /// Returns the point whose cost differs most from the cost at `size`, and the difference in
    /// percent.
    pub(crate) fn farthest_from(&self, size: u64) -> Option<(&Summary, f64)> {
        let from = self.at(size)?;
        let all = self.summaries.iter().filter_map(|one| Some((one, (one.ratio_to(from)? - 1.0) * 100.0)));
        all.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::figures::Figures;
    use crate::growth::curve::{Curve, Point};
    use crate::outcome::Setback;

    fn cost(seconds: f64) -> Figures {
        Figures { cpu_seconds_per_million: Some(seconds), ..Figures::default() }
    }

    fn partitions(costs: &[(u64, f64)]) -> Results {
        let mut results = Results::default();
        for (size, seconds) in costs {
            results.add(1, Point { curve: Curve::Partitions, size: *size }, Ok(cost(*seconds)));
        }
        results
    }

    #[test]
    fn a_curve_grows_from_its_first_point_to_its_last() {
        let curves = partitions(&[(1000, 3.0), (1, 1.5), (4, 1.0)]).curves();
        assert_eq!(curves.len(), 1);
        let (first, last, ratio) = curves[0].growth().expect("both were measured");
        assert_eq!((first.point.size, last.point.size, ratio), (1, 1000, 2.0));
    }

    #[test]
    fn a_cheaper_point_deviates_too() {
        let curves = partitions(&[(1, 1.0), (4, 2.0), (16, 2.5)]).curves();
        let (farthest, percent) = curves[0].farthest_from(4).expect("it was measured");
        assert_eq!((farthest.point.size, percent), (1, -50.0));
        assert!(curves[0].farthest_from(64).is_none());
    }

    #[test]
    fn a_cost_of_zero_has_no_multiple() {
        assert!(partitions(&[(1, 0.0), (4, 2.0)]).curves()[0].growth().is_none());
    }

    #[test]
    fn one_wrong_round_shows_beside_the_median() {
        let point = Point { curve: Curve::Agents, size: 2 };
        let mut results = Results::default();
        results.add(1, point, Ok(cost(1.0)));
        results.add(2, point, Err(Setback::Wrong("1 lost".into())));
        results.add(3, point, Ok(cost(2.0)));
        let curves = results.curves();
        let summary = &curves[0].summaries[0];
        assert_eq!((summary.cost(), summary.cpu_spread, summary.rounds), (Some(1.5), Some((1.0, 2.0)), 2));
        assert_eq!(summary.setback, Some(Setback::Wrong("1 lost".into())));
        assert_eq!(results.wrong(), 1);
        assert!(!results.is_settled(point));
    }
}
