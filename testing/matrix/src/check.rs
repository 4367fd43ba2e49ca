//! The check of a run: what is there at the end, and what was seen before, compared with the input.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::calls;
use crate::first_agent::fails_late;
use crate::input::Input;
use crate::notes::Notes;
use crate::once::Once;
use crate::rows::{List, Rows, without_ticks};
use crate::seen::Seen;
use crate::shape::{FaultKind, Shape};
use crate::truth::Truth;
use crate::writer::Written;

/// Checks that everything is correct.
pub(crate) fn check_run(shape: &Shape, truth: &Truth, notes: &Notes, written: &[Written], seen: &Seen) {
    let check = Check { shape, truth, once: Once(shape.exactly_once) };
    check.check_outputs();
    check_chimes(shape, &notes.chimes());
    if shape.has_calls {
        check.check_calls(notes);
    }
    let table = check.check_table();
    if shape.regroups {
        check.check_groups();
    }
    let sent = notes.acknowledged();
    let global = check.check_copies();
    let others = Inbox { table: "others", rows: &truth.others, prefix: "o", has_events: shape.sends_to_others };
    for inbox in [others, Inbox { table: "global", rows: &global, prefix: "g", has_events: shape.changes_global }] {
        check_writers(&inbox, written);
        check.check_events(&inbox);
        check.check_timers(&inbox, &sent);
    }
    seen.check(&table, &global);
}

/// A run to check: its shape, its end, and the rule for repetitions.
struct Check<'a> {
    shape: &'a Shape,
    truth: &'a Truth,
    once: Once,
}

/// A table that changes are sent to, and its rows at the end.
struct Inbox<'a> {
    table: &'static str,
    rows: &'a Rows,
    /// The first letter of the changes that events send.
    prefix: &'static str,
    /// Events send changes to it.
    has_events: bool,
}

impl Check<'_> {
    /// Checks the outputs and the dead letters, which each shape has.
    fn check_outputs(&self) {
        let Self { truth, once, .. } = self;
        let good = truth.all_inputs().filter(|input| input.succeeds());
        let mut outputs: List = truth.outputs.iter().map(u64::to_string).collect();
        let exactly_once = self.shape.exactly_once || self.shape.has_transactional_outputs;
        if !exactly_once {
            // An event whose fault shows only in its commit may have sent its output before.
            let late = truth.all_inputs().filter(|input| fails_late(input));
            let late = entries("", late);
            outputs.retain(|output| !late.contains(output));
        }
        Once(exactly_once).in_any_order("the outputs", outputs, entries("", good));
        let bad = truth.all_inputs().filter(|input| !input.succeeds());
        let dead: List = truth.dead.iter().map(u64::to_string).collect();
        once.in_any_order("the dead letters", dead, entries("", bad));
    }

    /// Checks the requests of callers and of events, and their answers.
    fn check_calls(&self, notes: &Notes) {
        let Self { shape, truth, .. } = self;
        let sent = truth.all_inputs().map(|input| format!("e{}", input.id)).collect();
        calls::check(shape, &notes.asked(), sent, &truth.accounts, &truth.answers);
    }

    /// Checks the table that agents share, and its changelog. Returns the table's rows without the
    /// marks of the partition timer.
    fn check_table(&self) -> Rows {
        let Truth { inputs, table, logged, .. } = self.truth;
        assert_eq!(logged, table, "the changelog and the table");
        let table: Rows = table
            .iter()
            .map(|(key, list)| (key.clone(), without_ticks(list.clone())))
            .filter(|(_, list)| !list.is_empty())
            .collect();
        for (key, inputs) in inputs {
            self.check_row(key, table.get(key).map_or(&[][..], Vec::as_slice), inputs);
        }
        assert!(table.keys().all(|key| inputs.contains_key(key)), "rows of no events: {table:?}");
        table
    }

    /// Checks that a row has the changes of each agent, in the order of the events.
    fn check_row(&self, key: &str, list: &[String], inputs: &[Input]) {
        for (prefix, runs) in [("a", true), ("b", self.shape.has_second_agent)] {
            let of_agent: List = list.iter().filter(|entry| entry.starts_with(prefix)).cloned().collect();
            let good = inputs.iter().filter(|input| input.succeeds());
            let wanted = if runs { entries(prefix, good) } else { List::new() };
            // This also holds at least once: restored state never runs ahead of the input that is
            // processed again.
            assert_eq!(of_agent, wanted, "row `{key}`");
        }
    }

    /// Checks the rows of the agent that reads the events by another key.
    fn check_groups(&self) {
        let Self { truth, once, .. } = self;
        let groups: List = truth.groups.values().flatten().cloned().collect();
        once.in_any_order("the groups", groups, entries("r", truth.all_inputs()));
        for (key, list) in &truth.groups {
            let wanted =
                |id: &str| truth.all_inputs().any(|input| &input.other == key && format!("r{}", input.id) == *id);
            assert!(list.iter().all(|id| wanted(id)), "group `{key}` has what is not its own: {list:?}");
        }
    }

    /// Checks that all workers have the same copy of the global table. Returns the copy.
    fn check_copies(&self) -> Rows {
        let copies = &self.truth.copies;
        let global = copies.last().cloned().unwrap_or_default();
        for (number, copy) in copies.iter().enumerate() {
            assert_eq!(copy, &global, "the copies of worker {number} and of the last");
        }
        global
    }

    /// Checks that the changes that events sent are in the rows that they were sent to.
    fn check_events(&self, inbox: &Inbox<'_>) {
        let Self { truth, .. } = self;
        let Inbox { table, rows, prefix, has_events } = *inbox;
        let of_events = of_events(rows.clone());
        for (key, list) in &of_events {
            let of_key = truth.all_inputs().filter(|input| &input.other == key && input.succeeds());
            let wanted = if has_events { entries(prefix, of_key) } else { List::new() };
            // Changes are in the transaction with either guarantee.
            Once(true).in_any_order(&format!("{table} `{key}`"), list.clone(), wanted);
        }
        let found: usize = of_events.values().map(Vec::len).sum();
        let wanted = if has_events { truth.all_inputs().filter(|input| input.succeeds()).count() } else { 0 };
        assert_eq!(found, wanted, "{table}: changes of events");
    }

    /// Checks that each change of a timer that the broker acknowledged is there, and that none is
    /// repeated unless it may be.
    fn check_timers(&self, inbox: &Inbox<'_>, sent: &BTreeSet<String>) {
        let Self { shape, .. } = self;
        let Inbox { table, rows, .. } = *inbox;
        let mut of_timers = rows.get("timers").cloned().unwrap_or_default();
        of_timers.sort();
        let certain: Vec<&str> = sent.iter().filter_map(|entry| entry.strip_prefix(table)?.strip_prefix(' ')).collect();
        for id in &certain {
            let times = of_timers.iter().filter(|found| found == id).count();
            assert!(
                times == 1 || (times > 1 && !shape.exactly_once),
                "{table}: {id} of a timer is there {times} times"
            );
        }
        // A change that was cut off by the crash of its worker may be there or not.
        let mut twice: Vec<_> = of_timers.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        twice.dedup();
        assert!(twice.is_empty() || !shape.exactly_once, "{table}: twice {twice:?}");
    }
}

/// Checks that the rows of writers are as they were written.
fn check_writers(inbox: &Inbox<'_>, written: &[Written]) {
    let Inbox { table, rows, .. } = *inbox;
    let of_writers = of_writers(rows.clone());
    for Written { key, may_be, .. } in written.iter().filter(|written| written.table == table) {
        let found = of_writers.get(key).cloned();
        assert!(may_be.contains(&found), "{table} `{key}` is {found:?}, and not one of {may_be:?}");
    }
}

/// Checks that the leader's crontab fired at each of its times and at no other. A leader that ends
/// or is paused may miss one, so this is only checked without faults.
fn check_chimes(shape: &Shape, chimes: &[Duration]) {
    if shape.has_timers && shape.faults == FaultKind::None {
        let every = Duration::from_secs(2);
        let wanted: Vec<Duration> = (1..).map(|nth| every * nth).take(chimes.len()).collect();
        let late = |(found, wanted): (&Duration, &Duration)| found.checked_sub(*wanted);
        let late: Vec<Option<Duration>> = chimes.iter().zip(&wanted).map(late).collect();
        let is_in_time = |late: &Option<Duration>| late.is_some_and(|late| late < Duration::from_millis(50));
        assert!(chimes.len() >= 5 && late.iter().all(is_in_time), "the crontab fired at {chimes:?}");
    }
}

/// Returns the entries that inputs leave in a row: their ids, with the prefix of the agent.
fn entries<'a>(prefix: &str, inputs: impl Iterator<Item = &'a Input>) -> List {
    inputs.map(|input| format!("{prefix}{}", input.id)).collect()
}

/// Returns the rows that writers changed, of a table that also has other rows.
fn of_writers(mut rows: Rows) -> Rows {
    rows.retain(|key, _| key.starts_with('w'));
    rows
}

/// Returns the rows that events changed.
fn of_events(mut rows: Rows) -> Rows {
    rows.retain(|key, _| !key.starts_with('w') && key != "timers");
    rows
}
