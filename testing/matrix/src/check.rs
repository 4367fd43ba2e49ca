//! The check of a run: what is there at the end, and what was seen before, compared with the input.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use marlowe::sim::Simulation;
use marlowe::table::Position;

use crate::calls::{self, Answer};
use crate::notes::Notes;
use crate::program::{ALWAYS, APP, Declared, Input, List};
use crate::shape::{FaultKind, Shape};
use crate::writer::Written;

/// The reader: a worker, by its number and the number of its starts, or `None` for a reader
/// outside.
pub(crate) type Who = Option<(usize, u64)>;

/// The rows that were read during a run.
#[derive(Default)]
pub(crate) struct Seen {
    rows: Vec<(String, List)>,
    copies: Vec<(String, List)>,
    latest: BTreeMap<(Who, String), (Position, usize)>,
}

impl Seen {
    /// Notes a row that a view returned. Checks that the reader has not seen a later state of it
    /// before.
    pub(crate) fn row(&mut self, who: Who, key: &str, list: List, position: Position) {
        let list = without_ticks(list);
        let latest = self.latest.entry((who, key.to_owned())).or_insert((position, 0));
        assert!(latest.0 <= position, "{who:?} read `{key}` at {position:?} after {:?}", latest.0);
        assert!(latest.1 <= list.len(), "{who:?} read `{key}` as it was before: {list:?}");
        *latest = (position, list.len());
        self.rows.push((key.to_owned(), list));
    }

    /// Notes a row of a global table's copy.
    pub(crate) fn copy(&mut self, key: &str, list: List) {
        self.copies.push((key.to_owned(), list));
    }
}

/// Returns a row without the marks of the partition timer.
fn without_ticks(list: List) -> List {
    list.into_iter().filter(|entry| entry != "t").collect()
}

type Rows = BTreeMap<String, List>;

/// The state at the end of a run.
pub(crate) struct Truth {
    /// The inputs by key, in order.
    inputs: BTreeMap<String, Vec<Input>>,
    table: Rows,
    others: Rows,
    groups: Rows,
    copies: Vec<Rows>,
    outputs: Vec<u64>,
    dead: Vec<u64>,
    logged: Rows,
    accounts: Rows,
    answers: Vec<(String, Answer)>,
}

impl Truth {
    pub(crate) async fn collect(
        sim: &Simulation,
        shape: &Shape,
        declared: &Declared,
        fed: Vec<(String, Input)>,
    ) -> Self {
        let rows = async |table: marlowe::Table<String, List>| -> Rows {
            let rows = sim.open(table.view()).iter().await.unwrap_or_else(|error| panic!("a view: {error}"));
            rows.into_iter().collect()
        };
        let mut inputs: BTreeMap<String, Vec<Input>> = BTreeMap::new();
        for (key, input) in fed {
            inputs.entry(key).or_default().push(input);
        }
        let of_workers = (0..shape.workers).map(|number| {
            let copy = sim.open_on(number, declared.global);
            copy.unwrap_or_else(|| panic!("worker {number} does not run"))
        });
        let of_workers: Vec<_> = of_workers.collect();
        catch_up(sim, &of_workers).await;
        let mut copies = Vec::new();
        for copy in of_workers {
            copies.push(copy.iter().unwrap_or_else(|error| panic!("a copy: {error}")).into_iter().collect());
        }
        let ids = async |topic: &str| -> Vec<u64> {
            let records = sim.records(topic).await;
            let id = |value: &[u8]| match serde_json::from_slice::<serde_json::Value>(value) {
                Ok(serde_json::Value::Number(number)) => number.as_u64().unwrap_or_default(),
                Ok(input) => input["id"].as_u64().unwrap_or_default(),
                Err(error) => panic!("{topic}: {error}"),
            };
            records.iter().map(|record| id(record.value.as_deref().unwrap_or_default())).collect()
        };
        let mut logged = Rows::new();
        for record in sim.records(&format!("{APP}-table-changelog")).await {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            match record.value {
                Some(value) => {
                    let list = serde_json::from_slice(&value).unwrap_or_else(|error| panic!("the changelog: {error}"));
                    logged.insert(key, list);
                }
                None => drop(logged.remove(&key)),
            }
        }
        let (mut accounts, mut answers) = (Rows::new(), Vec::new());
        if let Some(calls) = declared.calls {
            accounts = rows(calls.accounts).await;
            for record in sim.records("answers").await {
                let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
                let answer = serde_json::from_slice(record.value.as_deref().unwrap_or_default());
                answers.push((key, answer.unwrap_or_else(|error| panic!("no answer: {error}"))));
            }
        }
        Self {
            inputs,
            table: rows(declared.table).await,
            others: rows(declared.others).await,
            groups: if shape.regroups { rows(declared.groups).await } else { Rows::new() },
            copies,
            outputs: ids("outputs").await,
            dead: if shape.has_failures { ids("dead").await } else { Vec::new() },
            logged,
            accounts,
            answers,
        }
    }

    /// Checks that everything is correct.
    pub(crate) fn check(mut self, shape: &Shape, notes: &Notes, written: &[Written], seen: &Seen) {
        let once = Once(shape.exactly_once);
        let good = |input: &&Input| input.fails < ALWAYS;
        let all = || self.inputs.values().flatten();
        let ids = |prefix: &str, inputs: &mut dyn Iterator<Item = &Input>| -> List {
            inputs.map(|input| format!("{prefix}{}", input.id)).collect()
        };

        // Outputs and dead letters are checked in every shape.
        let outputs: List = self.outputs.iter().map(u64::to_string).collect();
        once.in_any_order("the outputs", outputs, ids("", &mut all().filter(good)));
        let dead: List = self.dead.iter().map(u64::to_string).collect();
        once.in_any_order("the dead letters", dead, ids("", &mut all().filter(|input| input.fails >= ALWAYS)));
        check_chimes(shape, &notes.chimes());
        if shape.has_calls {
            let sent = all().map(|input| format!("e{}", input.id)).collect();
            calls::check(shape, &notes.asked(), sent, &self.accounts, &self.answers);
        }

        assert_eq!(self.logged, self.table, "the changelog and the table");
        let table: Rows = self
            .table
            .iter()
            .map(|(key, list)| (key.clone(), without_ticks(list.clone())))
            .filter(|(_, list)| !list.is_empty())
            .collect();
        let mut expected: BTreeSet<&String> = BTreeSet::new();
        for (key, inputs) in &self.inputs {
            let list = table.get(key).cloned().unwrap_or_default();
            if !list.is_empty() {
                expected.insert(key);
            }
            for (prefix, runs) in [("a", true), ("b", shape.has_second_agent)] {
                let of_agent: List = list.iter().filter(|entry| entry.starts_with(prefix)).cloned().collect();
                let wanted = if runs { ids(prefix, &mut inputs.iter().filter(good)) } else { List::new() };
                // This also holds at least once: restored state never runs ahead of the input that
                // is processed again.
                Once(true).in_order(&format!("row `{key}`"), &of_agent, &wanted);
            }
        }
        assert!(table.keys().all(|key| expected.contains(key)), "rows of no events: {table:?}");

        if shape.regroups {
            let groups: List = self.groups.values().flatten().cloned().collect();
            once.in_any_order("the groups", groups, ids("r", &mut all()));
            for (key, list) in &self.groups {
                let wanted = |id: &str| all().any(|input| &input.other == key && format!("r{}", input.id) == *id);
                assert!(list.iter().all(|id| wanted(id)), "group `{key}` has what is not its own: {list:?}");
            }
        }

        let sent = notes.acknowledged();
        let global = self.copies.pop().unwrap_or_default();
        for (number, copy) in self.copies.iter().enumerate() {
            assert_eq!(copy, &global, "the copies of worker {number} and of the last");
        }
        for (what, rows, prefix, runs) in
            [("others", &self.others, "o", shape.sends_to_others), ("global", &global, "g", shape.changes_global)]
        {
            let of_writers: Rows = of_writers(rows.clone());
            for Written { key, may_be, .. } in written.iter().filter(|written| written.table == what) {
                let found = of_writers.get(key).cloned();
                assert!(may_be.contains(&found), "{what} `{key}` is {found:?}, and not one of {may_be:?}");
            }
            let of_events: Rows = of_events(rows.clone());
            for (key, list) in &of_events {
                let of_key = |input: &&Input| &input.other == key && input.fails < ALWAYS;
                let wanted = if runs { ids(prefix, &mut all().filter(of_key)) } else { List::new() };
                once.in_any_order(&format!("{what} `{key}`"), list.clone(), wanted);
            }
            let found: usize = of_events.values().map(Vec::len).sum();
            let wanted = if runs { all().filter(good).count() } else { 0 };
            assert!(found >= wanted, "{what}: {found} of {wanted} changes");

            let mut of_timers = rows.get("timers").cloned().unwrap_or_default();
            of_timers.sort();
            let certain: Vec<&str> =
                sent.iter().filter_map(|entry| entry.strip_prefix(what)?.strip_prefix(' ')).collect();
            for id in &certain {
                let times = of_timers.iter().filter(|found| found == id).count();
                assert!(
                    times == 1 || (times > 1 && !shape.exactly_once),
                    "{what}: {id} of a timer is there {times} times"
                );
            }
            // A change that was cut off by the crash of its worker may be there or not.
            let mut twice: Vec<_> = of_timers.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            twice.dedup();
            assert!(twice.is_empty() || !shape.exactly_once, "{what}: twice {twice:?}");
        }

        // Everything that was seen is committed, with either guarantee.
        for (key, list) in &seen.rows {
            let last = table.get(key).map_or(&[][..], Vec::as_slice);
            assert!(last.starts_with(list), "`{key}` was seen as {list:?}, which is no beginning of {last:?}");
        }
        for (key, list) in &seen.copies {
            let last = global.get(key).map_or(&[][..], Vec::as_slice);
            assert!(last.starts_with(list), "a copy had `{key}` as {list:?}, which is no beginning of {last:?}");
        }
    }
}

/// Waits until all copies are as far as the furthest one. A worker's drain waits for the worker's
/// own copy, but the drain of another worker may end later, after it has processed another change.
async fn catch_up(sim: &Simulation, copies: &[marlowe::table::GlobalClient<String, List>]) {
    let partitions = copies.first().map_or(0, |copy| copy.partitions());
    for partition in (0..partitions).map(marlowe::broker::Partition::new) {
        let at = || copies.iter().map(move |copy| copy.position(partition).changelog);
        let furthest = at().max();
        let is_behind = || at().any(|at| Some(at) < furthest);
        for _ in 0..1000 {
            if !is_behind() {
                break;
            }
            sim.elapse(Duration::from_millis(10)).await;
        }
        assert!(!is_behind(), "copies do not catch up: {:?}", at().collect::<Vec<_>>());
    }
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

/// The rule for repetitions: `true` if each entry must be there once, `false` if at least once.
struct Once(bool);

impl Once {
    /// Checks that nothing is lost, that everything is in order, and that nothing is repeated
    /// unless it may be.
    fn in_order(&self, what: &str, found: &[String], wanted: &[String]) {
        if self.0 {
            assert_eq!(found, wanted, "{what}");
            return;
        }
        let mut known = BTreeSet::new();
        let first: Vec<&String> = found.iter().filter(|entry| known.insert(*entry)).collect();
        assert_eq!(first, wanted.iter().collect::<Vec<_>>(), "{what}, each for the first time, of {found:?}");
    }

    fn in_any_order(&self, what: &str, mut found: List, mut wanted: List) {
        found.sort();
        wanted.sort();
        if !self.0 {
            found.dedup();
        }
        assert_eq!(found, wanted, "{what}");
    }
}
