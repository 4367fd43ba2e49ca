//! The bar chart of the comparison, as SVG.

use std::fmt::Write;

use crate::report::thousands;
use crate::results::{Results, Summary, is_speed};
use crate::system::System;
use crate::work::Work;

const WIDTH: usize = 860;
const LABELS: usize = 130;
const NUMBERS: usize = 150;
const BAR: usize = 16;
const GAP: usize = 4;
const TITLE: usize = 34;

/// Draws one panel of bars for each work. A bar is as long as its system is fast, or as slow where
/// the work is about time.
pub(crate) fn chart(results: &Results) -> String {
    let mut panels = String::new();
    let mut y = 44;
    for work in results.works() {
        let summaries = results.summaries(&work);
        panel(&mut panels, &mut y, &work, &summaries);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"26\" font-size=\"17\">Marlowe beside its peers: medians</text>\n{panels}</svg>\n",
        height = y + 10,
    )
}

fn panel(svg: &mut String, y: &mut usize, work: &Work, summaries: &[Summary]) {
    let what = if is_speed(work.job) { "events/s, longer is better" } else { "time, shorter is better" };
    let cores = if work.cores == 1 { "one core".into() } else { format!("{} cores", work.cores) };
    let _ = writeln!(
        svg,
        "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}, {}, {cores} ({what})</text>",
        *y + 20,
        escaped(&work.title()),
        work.guarantee.name().replace('-', " "),
    );
    *y += TITLE;
    let most = summaries.iter().filter_map(Summary::subject).fold(f64::MIN_POSITIVE, f64::max);
    for summary in summaries {
        let middle = *y + BAR - 4;
        let _ = writeln!(svg, "<text x=\"10\" y=\"{middle}\">{}</text>", escaped(summary.system.title()));
        let (length, label) = match summary.subject() {
            Some(figure) => ((figure / most * (WIDTH - LABELS - NUMBERS) as f64) as usize, number(work, figure)),
            None => (0, summary.setback.as_ref().map(|setback| shortened(&setback.to_string())).unwrap_or_default()),
        };
        if summary.subject().is_some() {
            let _ = writeln!(
                svg,
                "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{}\" height=\"{BAR}\" fill=\"{}\"/>",
                length.max(1),
                colour(summary.system),
            );
        }
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{middle}\">{}</text>", LABELS + length + 6, escaped(&label));
        *y += BAR + GAP;
    }
}

fn number(work: &Work, figure: f64) -> String {
    match work.job {
        crate::work::Job::Latency => format!("{figure:.1} ms (p99)"),
        _ if is_speed(work.job) => thousands(figure),
        _ => format!("{figure:.1} s"),
    }
}

fn colour(system: System) -> &'static str {
    match system {
        System::Bare => "#9e9e9e",
        System::Marlowe => "#c2410c",
        System::KafkaStreams => "#1d4ed8",
        System::Goka => "#0e7490",
        System::Faust => "#15803d",
        System::Quix => "#7e22ce",
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 100 { text.to_owned() } else { text.chars().take(99).chain(['…']).collect() }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::chart;
    use crate::figures::Figures;
    use crate::outcome::Setback;
    use crate::results::Results;
    use crate::system::System;
    use crate::trial::Contestant;
    use crate::work::{Guarantee, Job, Store, Work};

    #[test]
    fn a_bar_is_as_long_as_its_system_is_fast() {
        let work =
            Work { guarantee: Guarantee::ExactlyOnce, cores: 1, job: Job::Count, keys: 10_000, store: Store::Memory };
        let mut results = Results::default();
        let mut add = |system, outcome| results.add(1, Contestant { system, cache_mb: 10 }, work, outcome);
        add(System::Bare, Ok(Figures { events_per_second: Some(1000.0), ..Figures::default() }));
        add(System::Marlowe, Ok(Figures { events_per_second: Some(500.0), ..Figures::default() }));
        add(System::Goka, Err(Setback::NotPossible("a < b".into())));
        let svg = chart(&results);
        assert!(svg.contains("width=\"580\"") && svg.contains("width=\"290\""), "{svg}");
        assert!(svg.contains("not possible: a &lt; b"), "{svg}");
    }
}
