//! The report on all profiles: a page.

use std::fmt::Write;

use super::callgrind::Function;
use super::part::Part;
use crate::machine::Machine;
use crate::report::thousands;
use crate::system::System;
use crate::work::Guarantee;

/// The number of functions that the page lists for each profile.
const FUNCTIONS: usize = 25;

/// The instructions of an event in a system, by function, the highest first.
pub(crate) struct Profile {
    pub(crate) system: System,
    pub(crate) guarantee: Guarantee,
    pub(crate) per_event: Vec<(Function, f64)>,
}

/// The input of the report: all profiles, and the conditions of the measurement.
pub(crate) struct Report<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) version: String,
    pub(crate) profiles: &'a [Profile],
}

impl Profile {
    fn title(&self) -> String {
        format!("{}, {}", self.system.title(), self.guarantee.name().replace('-', " "))
    }

    fn sum(&self, part: Option<Part>) -> f64 {
        let within = |function: &Function| part.is_none_or(|part| Part::of(function) == part);
        self.per_event.iter().filter(|(function, _)| within(function)).map(|(_, count)| count).sum()
    }
}

impl Report<'_> {
    pub(crate) fn page(&self) -> String {
        let mut page = format!(
            "# Where an event's instructions go\n\n\
             Written by `cargo xtask bench profile`: count per key, 10k keys, table in memory, one lane, all threads, under callgrind. \
             What is told is the difference of two runs for each event that one had more, so starting and stopping is left out. \
             The kernel does not show, nor does what the processor waits for memory.\n\n\
             - Machine: {}. Marlowe: {}.\n\n",
            self.machine, self.version
        );
        let heads: Vec<String> = self.profiles.iter().map(Profile::title).collect();
        let _ = writeln!(page, "| instructions for each event | {} |", heads.join(" | "));
        let _ = writeln!(page, "|---|{}", "---:|".repeat(heads.len()));
        let mut row = |title: &str, part| {
            let cells: Vec<String> =
                self.profiles.iter().map(|profile| thousands(profile.sum(part).max(0.0))).collect();
            let _ = writeln!(page, "| {title} | {} |", cells.join(" | "));
        };
        Part::ALL.into_iter().for_each(|part| row(part.title(), Some(part)));
        row("**all**", None);
        for profile in self.profiles {
            let _ = writeln!(page, "\n## {}\n\n| instructions | function | of |\n|---:|---|---|", profile.title());
            for (function, count) in profile.per_event.iter().take(FUNCTIONS) {
                let _ =
                    writeln!(page, "| {count:.0} | `{}` | {} |", in_short(&function.name), Part::of(function).title());
            }
        }
        page
    }
}

/// Shortens a function's name for a table cell.
fn in_short(name: &str) -> String {
    const MOST: usize = 90;
    let name = name.replace('|', "\\|");
    if name.chars().count() <= MOST { name } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::{Profile, Report};
    use crate::machine::Machine;
    use crate::profile::callgrind::Function;
    use crate::system::System;
    use crate::work::Guarantee;

    #[test]
    fn parts_add_up() {
        let function = |name: &str| Function { file: String::new(), name: name.into() };
        let per_event = vec![(function("rd_slice_read"), 30.4), (function("marlowe_state::find"), 20.0)];
        let profiles = [Profile { system: System::Marlowe, guarantee: Guarantee::AtLeastOnce, per_event }];
        let machine = Machine::this().expect("it is known");
        let page = Report { machine: &machine, version: "1".into(), profiles: &profiles }.page();
        for line in [
            "| instructions for each event | Marlowe, at least once |",
            "| librdkafka | 30 |",
            "| table: rows, layers, flush | 20 |",
            "| **all** | 50 |",
            "| 30 | `rd_slice_read` | librdkafka |",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }
}
