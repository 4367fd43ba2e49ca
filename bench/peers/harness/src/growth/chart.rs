//! The line chart of the curves, as SVG.

use std::fmt::Write;

use super::curve::{Curve, Family};
use super::results::Measured;
use crate::chart::escaped;
use crate::work::in_short;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 30.0;
const TITLE: f64 = 30.0;
const LEGEND: f64 = 18.0;
const HEIGHT: f64 = 200.0;
const SIZES: f64 = 40.0;

/// Draws one panel of lines for each family: the cost of a million events over the quantity that
/// grows.
pub(crate) fn chart(curves: &[Measured]) -> String {
    let mut panels = String::new();
    let mut y = 44.0;
    for family in Family::ALL {
        let own: Vec<&Measured> = curves.iter().filter(|measured| measured.curve.family() == family).collect();
        if !own.is_empty() {
            panel(&mut panels, &mut y, family, &own);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"26\" font-size=\"17\">What a million events cost, in seconds of the processor: medians, least and \
         most</text>\n{panels}</svg>\n"
    )
}

/// The scales of a panel.
struct Scales {
    /// The position of cost 0.
    bottom: f64,
    most: f64,
    smallest: f64,
    largest: f64,
}

impl Scales {
    fn of(curves: &[&Measured], top: f64) -> Self {
        let summaries = || curves.iter().flat_map(|measured| &measured.summaries);
        let sizes = || summaries().map(|summary| summary.point.size as f64);
        let costs = summaries().filter_map(|summary| Some(summary.cpu_spread?.1));
        Self {
            bottom: top + HEIGHT,
            most: costs.fold(f64::MIN_POSITIVE, f64::max),
            smallest: sizes().fold(f64::MAX, f64::min),
            largest: sizes().fold(1.0, f64::max),
        }
    }

    /// Returns the position of a size. The scale is logarithmic.
    fn x(&self, size: u64) -> f64 {
        let width = (self.largest / self.smallest).ln();
        let share = if width > 0.0 { (size as f64 / self.smallest).ln() / width } else { 0.5 };
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, cost: f64) -> f64 {
        self.bottom - cost / self.most * HEIGHT
    }

    /// Returns round numbers from 0 to the highest cost, in at most five steps.
    fn marks(&self) -> Vec<f64> {
        let power = 10f64.powf((self.most / 5.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| self.most / step <= 5.0);
        let step = step.unwrap_or(self.most);
        (0..6).map(|number| f64::from(number) * step).filter(|mark| *mark <= self.most).collect()
    }
}

fn panel(svg: &mut String, y: &mut f64, family: Family, curves: &[&Measured]) {
    let _ = writeln!(svg, "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>", *y + 16.0, family.name());
    *y += TITLE;
    for measured in curves.iter().filter(|_| curves.len() > 1) {
        let (line, title) = (*y - 4.0, escaped(measured.curve.title()));
        let colour = colour(measured.curve);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {line}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{y}\">{title}</text>", LEFT + 30.0);
        *y += LEGEND;
    }
    let scales = Scales::of(curves, *y);
    axes(svg, &scales, curves);
    for measured in curves {
        line(svg, &scales, measured);
    }
    *y += HEIGHT + SIZES;
}

fn axes(svg: &mut String, scales: &Scales, curves: &[&Measured]) {
    for mark in scales.marks() {
        let y = scales.y(mark);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{}\" stroke=\"#e0e0e0\"/>", WIDTH - RIGHT);
        let (x, below) = (LEFT - 6.0, y + 4.0);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{}</text>", in_digits(mark));
    }
    let mut sizes: Vec<u64> =
        curves.iter().flat_map(|measured| &measured.summaries).map(|summary| summary.point.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let (x, below) = (scales.x(size), scales.bottom + 16.0);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", in_short(size));
    }
}

fn line(svg: &mut String, scales: &Scales, measured: &Measured) {
    let colour = colour(measured.curve);
    let mut path = String::new();
    for summary in &measured.summaries {
        let Some(cost) = summary.cost() else { continue };
        let (x, y) = (scales.x(summary.point.size), scales.y(cost));
        let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        if let Some((least, most)) = summary.cpu_spread {
            let (least, most) = (scales.y(least), scales.y(most));
            let _ = writeln!(svg, "<path d=\"M{x:.1} {least:.1}V{most:.1}\" stroke=\"{colour}\"/>");
        }
    }
    let _ = writeln!(svg, "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>");
}

/// Formats the number of a mark, without trailing zeros.
fn in_digits(mark: f64) -> String {
    let text = format!("{mark:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn colour(curve: Curve) -> &'static str {
    match curve {
        Curve::Partitions | Curve::Keys | Curve::Agents | Curve::Workers => "#c2410c",
        Curve::SkewedKeys => "#1d4ed8",
        Curve::BarePartitions | Curve::BareKeys => "#9e9e9e",
    }
}

#[cfg(test)]
mod tests {
    use super::{chart, in_digits};
    use crate::figures::Figures;
    use crate::growth::curve::{Curve, Point};
    use crate::growth::results::Results;
    use crate::outcome::Setback;

    fn keys(costs: &[(Curve, u64, f64)]) -> Results {
        let mut results = Results::default();
        for (curve, size, seconds) in costs {
            let figures = Figures { cpu_seconds_per_million: Some(*seconds), ..Figures::default() };
            results.add(1, Point { curve: *curve, size: *size }, Ok(figures));
        }
        results
    }

    #[test]
    fn sizes_are_logarithmic_and_costs_begin_at_zero() {
        let svg =
            chart(&keys(&[(Curve::Keys, 1000, 1.0), (Curve::Keys, 100_000, 1.0), (Curve::Keys, 10_000, 0.5)]).curves());
        // From left to right, x is 60, 445 and 830. The top is at y = 74, and cost 0 is at y = 274.
        assert!(svg.contains("d=\"M60.0 74.0L445.0 174.0L830.0 74.0\""), "{svg}");
        assert!(svg.contains(">10k</text>") && svg.contains("y=\"278.0\" text-anchor=\"end\">0</text>"), "{svg}");
    }

    #[test]
    fn several_curves_have_a_legend_and_one_scale() {
        let svg = chart(&keys(&[(Curve::Keys, 1000, 2.0), (Curve::BareKeys, 1000, 1.0)]).curves());
        assert!(svg.contains(">Marlowe, table on disk, keys uniformly random</text>"), "{svg}");
        assert!(svg.contains("d=\"M445.0 110.0\"") && svg.contains("d=\"M445.0 210.0\""), "{svg}");
    }

    #[test]
    fn points_without_figures_are_left_out() {
        let mut results = keys(&[(Curve::Workers, 1, 1.0)]);
        results.add(1, Point { curve: Curve::Workers, size: 2 }, Err(Setback::Failed("gone".into())));
        let svg = chart(&results.curves());
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
    }

    #[test]
    fn marks_are_short() {
        assert_eq!([0.0, 0.5, 2.0, 0.125].map(in_digits), ["0", "0.5", "2", "0.125"]);
    }
}
