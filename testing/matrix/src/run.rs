//! A run: a simulated cluster with the program of a shape, its input, readers and writers, and
//! faults.

use std::sync::Arc;
use std::time::Duration;

use marlowe::RunError;
use marlowe::axum::http::{Request, StatusCode};
use marlowe::sim::{Chance, Cluster, Simulation, Trace};
use marlowe::table::{Position, Read};
use marlowe::topology::TopologyError;
use serde_json::Value;
use tokio::time::Instant;

use crate::calls::keep_asking;
use crate::check::check_run;
use crate::declared::Declared;
use crate::input::{ALWAYS, Input};
use crate::notes::Notes;
use crate::program::{declare, declare_with_other_counts};
use crate::rows::List;
use crate::seen::Seen;
use crate::shape::Shape;
use crate::truth::Truth;
use crate::writer::Writer;

/// The result of a run.
pub struct Ran {
    /// The trace of everything that happened.
    pub trace: Trace,
    /// The simulated time that passed.
    pub simulated: Duration,
}

/// The time for which faults happen.
const DISTURBED: Duration = Duration::from_secs(12);

/// The time for which changelogs keep tombstones, in shapes that forget removals.
const TOMBSTONES: Duration = Duration::from_secs(4);

/// The time between two compactions, in shapes that forget removals.
const CLEAN_EVERY: Duration = Duration::from_millis(300);

/// Runs a shape, and checks the result.
///
/// # Panics
/// When the result is not correct.
pub fn run(shape: &Shape) -> Ran {
    run_in(shape, |cluster| cluster)
}

/// Runs a shape as [`run`] does, but prints nothing when the result is not correct.
///
/// # Panics
/// As [`run`] does.
pub fn run_silently(shape: &Shape) -> Ran {
    run_in(shape, Cluster::without_report)
}

fn run_in(shape: &Shape, report: impl FnOnce(Cluster) -> Cluster) -> Ran {
    let notes = Arc::new(Notes::default());
    let (of_app, of_notes) = (shape.clone(), notes.clone());
    let cluster = Cluster::new(shape.seed, move || declare(&of_app, &of_notes).0).workers(shape.workers);
    let (lanes, interval, standbys) = (shape.lanes, shape.commit_interval, shape.standbys);
    let tombstones = shape.forgets_removals.then_some(TOMBSTONES);
    let shortest = if shape.has_fixed_interval { interval } else { Duration::ZERO };
    let cluster = cluster.configure(move |mut config| {
        config.tombstone_retention = tombstones.unwrap_or(config.tombstone_retention);
        config.lanes(lanes).commit_interval(interval).min_commit_interval(shortest).standby_replicas(standbys)
    });
    let cluster = if shape.on_disk { cluster.on_disk() } else { cluster };
    report(cluster).run(async |sim| {
        notes.begun(Instant::now() - sim.elapsed());
        let (_, declared) = declare(shape, &notes);
        let reading = read_on(sim, shape, &declared);
        let ask = async {
            if let Some(calls) = declared.calls {
                keep_asking(sim, shape, calls, &notes, DISTURBED).await;
            }
        };
        let write = async {
            let writer = Writer::new(sim, shape, &declared);
            if shape.has_writers { writer.write_on(DISTURBED).await } else { Vec::new() }
        };
        let work = async {
            let disturb = sim.disturb(shape.faults.faults(), DISTURBED);
            let forget = async {
                if shape.forgets_removals {
                    tokio::join!(clean_on(sim), take_leave(sim, shape));
                }
            };
            tokio::join!(feed(sim, shape, &declared), write, ask, disturb, forget)
        };
        let mut seen = Seen::default();
        let (fed, written, (), (), ()) = tokio::select! {
            biased;
            fed = work => fed,
            never = reading.run(&mut seen) => match never {},
        };
        notes.no_more();
        sim.settle().await;
        let truth = Truth::collect(sim, shape, &declared, fed).await;
        check_run(shape, &truth, &notes, &written, &seen);
        check_bounds(sim, shape).await;
        check_counts(sim, shape, &notes).await;
        Ran { trace: sim.trace().clone(), simulated: sim.elapsed() }
    })
}

/// Compacts the topics again and again while faults happen.
async fn clean_on(sim: &Simulation) {
    while sim.elapsed() < DISTURBED {
        sim.clean().await;
        sim.elapse(CLEAN_EVERY).await;
    }
}

/// Stops a worker for longer than tombstones are kept, if there are others.
async fn take_leave(sim: &Simulation, shape: &Shape) {
    if shape.workers > 1 {
        sim.elapse(DISTURBED / 4).await;
        sim.stop(shape.seed as usize % shape.workers).await;
        sim.elapse(DISTURBED.saturating_sub(sim.elapsed())).await;
    }
}

/// Checks that no worker has more rows in its caches than it may.
async fn check_bounds(sim: &Simulation, shape: &Shape) {
    // Rows that are not committed always stay in the cache, and the timer keeps changing all rows.
    if shape.has_partition_timer {
        return;
    }
    // Lanes that are idle update their counters once a second.
    sim.elapse(3 * shape.commit_interval + Duration::from_secs(2)).await;
    let mut told = false;
    for number in 0..shape.workers {
        let request = Request::get("/metrics").body("").unwrap_or_else(|error| panic!("no request: {error}"));
        let answer = sim.request(number, request).await.unwrap_or_else(|error| panic!("no metrics: {error}"));
        let page = String::from_utf8_lossy(answer.body()).into_owned();
        let sample = |name: &str| -> Option<f64> {
            page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        };
        let bound = (shape.cache_rows * shape.partitions as usize) as f64;
        for table in ["table", "others", "groups"] {
            let rows = sample(&format!("marlowe_table_cached_rows{{table=\"{table}\"}}"));
            assert!(rows.is_none_or(|rows| rows <= bound), "worker {number} has {rows:?} rows of {table} at hand");
            told |= rows.is_some();
        }
    }
    assert!(told, "no worker tells how many rows it has at hand");
}

/// Checks that a program is refused at its start if its numbers of partitions do not match.
async fn check_counts(sim: &Simulation, shape: &Shape, notes: &Arc<Notes>) {
    sim.stop(0).await;
    let refused = sim.start_with(0, declare_with_other_counts(shape, notes)).await;
    let is_told = matches!(refused, Err(RunError::Topology(TopologyError::NotCopartitioned { .. })));
    assert!(is_told, "a topic of other partitions than its table's: {refused:?}");
}

/// Feeds the events. Returns them with their keys, in order.
async fn feed(sim: &Simulation, shape: &Shape, declared: &Declared) -> Vec<(String, Input)> {
    let (inputs, chance) = (sim.open(declared.inputs), sim.chance());
    let longest = Duration::from_micros(2 * DISTURBED.as_micros() as u64 / shape.events);
    let mut fed = Vec::new();
    for id in 0..shape.events {
        let key = format!("k{}", chance.number(0..shape.keys));
        let other = format!("x{}", chance.number(0..shape.keys));
        let fails = match shape.has_failures.then(|| chance.number(0..40)) {
            Some(0) => ALWAYS,
            Some(1..4) => 1 + chance.number(0..2) as u32,
            _ => 0,
        };
        let input = Input { id, other, fails };
        if let Err(error) = inputs.send(&key, &input).await {
            panic!("an event was not taken: {error}");
        }
        fed.push((key, input));
        sim.elapse(chance.time(Duration::from_micros(1)..longest)).await;
    }
    fed
}

/// A reader that reads views all the time.
struct ViewReader<'a> {
    sim: &'a Simulation,
    shape: &'a Shape,
    declared: Declared,
}

fn read_on<'a>(sim: &'a Simulation, shape: &'a Shape, declared: &Declared) -> ViewReader<'a> {
    ViewReader { sim, shape, declared: *declared }
}

impl ViewReader<'_> {
    async fn run(self, seen: &mut Seen) -> std::convert::Infallible {
        if !self.shape.has_readers {
            std::future::pending::<()>().await;
        }
        let chance = Chance::of_seed(self.shape.seed ^ 0x5eed);
        let outside = self.sim.open(self.declared.table.view()).within(Duration::from_secs(2));
        loop {
            self.sim.elapse(chance.time(Duration::from_millis(5)..Duration::from_millis(200))).await;
            let key = format!("k{}", chance.number(0..self.shape.keys));
            let number = chance.number(0..self.shape.workers as u64) as usize;
            let there = self.sim.open_on(number, self.declared.table.view());
            let who = there.is_some().then(|| (number, self.sim.starts_of(number)));
            let view = there.map_or_else(|| outside.clone(), |view| view.within(Duration::from_secs(2)));
            // At this moment, there may be no worker that has the row.
            if let Ok(Read { value, position, .. }) = view.read(&*key).await {
                seen.row(who, &key, value.unwrap_or_default(), position);
            }
            if chance.happens(300) {
                self.read_web(number, &key, seen, &chance).await;
            }
            if let Some(global) = self.sim.open_on(number, self.declared.global)
                && let Ok(value) = global.try_get(&*key)
            {
                seen.copy(&key, value.unwrap_or_default() as List);
            }
        }
    }

    /// Reads a row or a page of rows from a worker's web server.
    async fn read_web(&self, number: usize, key: &str, seen: &mut Seen, chance: &Chance) {
        let is_page = chance.happens(300);
        let uri = match is_page {
            true => "/tables/table?limit=1000&wait=2000".to_owned(),
            false => format!("/tables/table/{key}?wait=2000"),
        };
        let who = Some((number, self.sim.starts_of(number)));
        let request = Request::get(uri).body(String::new()).unwrap_or_else(|error| panic!("no request: {error}"));
        let answer = tokio::time::timeout(Duration::from_secs(3), self.sim.request(number, request)).await;
        let Ok(Ok(response)) = answer else { return };
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_else(|error| panic!("no JSON: {error}"));
        let position = |of: &Value| -> Position {
            let number = |name: &str| of["position"][name].as_u64().unwrap_or_else(|| panic!("no position: {body}"));
            Position { changelog: number("changelog"), inbox: number("inbox") }
        };
        let list = |of: &Value| -> List {
            serde_json::from_value(of.clone()).unwrap_or_else(|error| panic!("no row: {error} in {body}"))
        };
        match response.status() {
            StatusCode::OK if is_page => {
                let rows = body["rows"].as_array().map_or(&[][..], Vec::as_slice);
                let keys: Vec<&str> = rows.iter().filter_map(|row| row["key"].as_str()).collect();
                assert!(keys.is_sorted_by(|one, next| one < next), "a page in no order: {keys:?}");
                let positions = body["positions"].as_array().map_or(&[][..], Vec::as_slice);
                for row in rows {
                    let of_row = positions.iter().find(|position| position["partition"] == row["partition"]);
                    let of_row = of_row.unwrap_or_else(|| panic!("no position of {row}"));
                    seen.row(who, row["key"].as_str().unwrap_or_default(), list(&row["value"]), position(of_row));
                }
            }
            StatusCode::OK => seen.row(who, key, list(&body["value"]), position(&body)),
            StatusCode::NOT_FOUND => seen.row(who, key, List::new(), position(&body)),
            // At this moment, there may be no worker that has the row.
            StatusCode::SERVICE_UNAVAILABLE => {}
            _ => panic!("a read was answered with {response:?}"),
        }
    }
}
