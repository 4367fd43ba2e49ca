//! A worker's metrics: what is counted and measured, and how it is shown to Prometheus.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use marlowe_state::CacheStats;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use crate::outbound::AskCounters;
use crate::shard::{Shard, ShardId};

/// A worker's metrics. Each worker has its own, so that several in one process do not mix.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    /// How many events each agent handled, as plain numbers.
    handled: Arc<Mutex<BTreeMap<Arc<str>, u64>>>,
}

/// The name of the gauge of the longest running handler on each thread.
pub(crate) const HANDLER_SECONDS: &str = "marlowe_handler_seconds";

/// The name of the histogram of what commits cost.
const COMMIT_COST: &str = "marlowe_commit_cost_seconds";

/// The upper bounds of the buckets for the latency of commits, in seconds.
const COMMIT_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

const DESCRIPTION: Metadata<'static> = Metadata::new("marlowe", Level::INFO, Some("marlowe"));

/// Every counter with its description.
const COUNTERS: &[(&str, &str)] = &[
    ("marlowe_events_total", "Events taken in, by agent"),
    ("marlowe_events_handled_total", "Events handled with success, by agent"),
    ("marlowe_events_failed_total", "Attempts that failed, by agent"),
    ("marlowe_events_retried_total", "Attempts after the first, by agent"),
    ("marlowe_events_conflicting_total", "Events handled again because a row that they used was changed, by agent"),
    ("marlowe_events_dead_lettered_total", "Events sent to a dead-letter topic, by agent"),
    ("marlowe_events_skipped_total", "Events skipped after they failed, by agent"),
    ("marlowe_partition_timer_runs_total", "Firings of partition timers, by timer"),
    ("marlowe_partition_timer_failures_total", "Firings of partition timers that failed, by timer"),
    ("marlowe_table_cache_hits_total", "Rows that were in the cache when they were used, by table"),
    ("marlowe_table_cache_misses_total", "Rows that had to be read from the store, by table"),
    ("marlowe_rows_undecodable_total", "Reads of a row that does not decode, by table"),
    ("marlowe_shards_opened_total", "Shards that were opened, by lane"),
    ("marlowe_events_committed_total", "Events, and runs of partition timers, in commits, by lane"),
    ("marlowe_commits_dropped_total", "Commits that failed, whose work was done again, by lane"),
    ("marlowe_records_expired_total", "Records that were removed before they were read, and skipped, by topic"),
    ("marlowe_replies_late_total", "Answers of agents that came after the asker had stopped waiting"),
    ("marlowe_asks_timed_out_total", "Requests to agents that were not answered in time"),
    (
        "marlowe_shards_taken_total",
        "Shards taken, by the state that was here before, and by whether the last owner crashed, gave them up, or did \
         not exist",
    ),
];

impl Metrics {
    pub(crate) fn new() -> Self {
        // This fails only for an empty list of buckets.
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&COMMIT_SECONDS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        for &(name, description) in COUNTERS {
            recorder.describe_counter(name.into(), None, description.into());
        }
        recorder.describe_gauge("marlowe_shards".into(), None, "Open shards, by lane".into());
        recorder.describe_gauge(
            HANDLER_SECONDS.into(),
            Some(metrics::Unit::Seconds),
            "Running time of the handler that has run longest, by thread".into(),
        );
        recorder.describe_gauge(
            "marlowe_table_cached_rows".into(),
            None,
            "Rows in the caches of the worker's shards, including keys known to have no row, by table".into(),
        );
        recorder.describe_histogram(
            "marlowe_commit_seconds".into(),
            Some(metrics::Unit::Seconds),
            "How long commits took, by lane; their number is the rate of commits".into(),
        );
        recorder.describe_histogram(
            COMMIT_COST.into(),
            Some(metrics::Unit::Seconds),
            "How much of the lane's and the broker's time commits cost; the rate of the sum is their share".into(),
        );
        Self { recorder: Arc::new(recorder), handled: Arc::default() }
    }

    pub(crate) fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }

    /// Returns how many events each agent handled.
    pub(crate) fn handled(&self) -> BTreeMap<Arc<str>, u64> {
        self.handled.lock().clone()
    }

    /// Sorts measurements into buckets at regular intervals. They wait for that in memory, even if
    /// nobody scrapes.
    pub(crate) async fn keep(self) {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            self.handle().run_upkeep();
        }
    }

    pub(crate) fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.recorder.register_gauge(&Key::from_parts(name, labels), &DESCRIPTION)
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&Key::from_parts(name, labels), &DESCRIPTION)
    }

    /// Counts a shard that this worker took. `had` is what the worker already had of it, and
    /// `after` what became of its former owner.
    pub(crate) fn took(&self, had: PriorState, after: &'static str) {
        let labels = vec![Label::new("after", after), Label::new("had", had.text())];
        let key = Key::from_parts("marlowe_shards_taken_total", labels);
        self.recorder.register_counter(&key, &DESCRIPTION).increment(1);
    }

    /// Returns the counter of a topic's records that were removed before they were read.
    pub(crate) fn expired(&self, topic: &Arc<str>) -> Counter {
        self.counter("marlowe_records_expired_total", vec![Label::new("topic", topic.to_string())])
    }

    /// Returns the counters of requests to agents.
    pub(crate) fn asks(&self) -> AskCounters {
        AskCounters {
            late: self.counter("marlowe_replies_late_total", Vec::new()),
            timed_out: self.counter("marlowe_asks_timed_out_total", Vec::new()),
        }
    }

    pub(crate) fn lane(&self, number: usize) -> LaneMetrics {
        let lane = vec![Label::new("lane", number.to_string())];
        let commits = Key::from_parts("marlowe_commit_seconds", lane.clone());
        LaneMetrics {
            metrics: self.clone(),
            commits: self.recorder.register_histogram(&commits, &DESCRIPTION),
            costs: self.recorder.register_histogram(&Key::from_parts(COMMIT_COST, lane.clone()), &DESCRIPTION),
            committed: self.counter("marlowe_events_committed_total", lane.clone()),
            shards: self.gauge("marlowe_shards", lane.clone()),
            opened: self.counter("marlowe_shards_opened_total", lane.clone()),
            dropped: self.counter("marlowe_commits_dropped_total", lane),
            counters: RefCell::default(),
            cached: RefCell::default(),
            caches: RefCell::default(),
        }
    }
}

/// The metrics of a lane. The counts of its shards are added at each commit, so that counting an
/// event costs only an addition.
pub(crate) struct LaneMetrics {
    pub(crate) metrics: Metrics,
    commits: Histogram,
    costs: Histogram,
    committed: Counter,
    shards: Gauge,
    opened: Counter,
    dropped: Counter,
    counters: RefCell<BTreeMap<(&'static str, Arc<str>), Counter>>,
    /// How many rows of each table are in the caches.
    cached: RefCell<BTreeMap<Arc<str>, Gauge>>,
    /// The counts of each slice's cache as of the last time.
    caches: RefCell<BTreeMap<(ShardId, Arc<str>), CacheStats>>,
}

impl LaneMetrics {
    pub(crate) fn open(&self, shard: &Shard) {
        // All counters are shown from the start, with zero.
        each_counter(shard, |counter, label, value, _| self.counter(counter, label, value).increment(0));
        for (table, _) in shard.participants.iter().filter_map(|participant| participant.cache()) {
            self.counter("marlowe_table_cache_hits_total", "table", table).increment(0);
            self.counter("marlowe_table_cache_misses_total", "table", table).increment(0);
            self.counter("marlowe_rows_undecodable_total", "table", table).increment(0);
            self.cached(table).increment(0.0);
        }
        self.shards.increment(1.0);
        self.opened.increment(1);
    }

    pub(crate) fn close(&self, shard: &Rc<Shard>) {
        self.count(std::slice::from_ref(shard));
        self.caches.borrow_mut().retain(|(id, table), last| {
            let stays = *id != shard.id;
            if !stays {
                self.cached(table).decrement(last.rows as f64);
            }
            stays
        });
        self.shards.decrement(1.0);
    }

    /// Counts a commit of `events` events: how long it took, and what it cost.
    pub(crate) fn committed(&self, events: u64, took: Duration, cost: Duration) {
        self.commits.record(took.as_secs_f64());
        self.costs.record(cost.as_secs_f64());
        self.committed.increment(events);
    }

    /// Counts a commit that failed.
    pub(crate) fn dropped(&self) {
        self.dropped.increment(1);
    }

    /// Adds what was counted since the last call.
    pub(crate) fn count(&self, shards: &[Rc<Shard>]) {
        for shard in shards {
            for agent in &shard.agents {
                if agent.counters.handled.get() > 0 {
                    *self.metrics.handled.lock().entry(agent.name.clone()).or_default() += agent.counters.handled.get();
                }
            }
            each_counter(shard, |counter, label, value, count| self.add(counter, label, value, count.replace(0)));
            for (table, now) in shard.participants.iter().filter_map(|participant| participant.cache()) {
                let before = self.caches.borrow_mut().insert((shard.id, table.clone()), now).unwrap_or_default();
                self.add("marlowe_table_cache_hits_total", "table", table, now.hits - before.hits);
                self.add("marlowe_table_cache_misses_total", "table", table, now.misses - before.misses);
                self.add("marlowe_rows_undecodable_total", "table", table, now.undecodable - before.undecodable);
                if now.rows != before.rows {
                    self.cached(table).increment(now.rows as f64 - before.rows as f64);
                }
            }
        }
    }

    fn cached(&self, table: &Arc<str>) -> Gauge {
        let gauge = || self.metrics.gauge("marlowe_table_cached_rows", vec![Label::new("table", table.to_string())]);
        self.cached.borrow_mut().entry(table.clone()).or_insert_with(gauge).clone()
    }

    fn add(&self, name: &'static str, label: &'static str, value: &Arc<str>, count: u64) {
        // Most counters of most shards have not changed.
        if count > 0 {
            self.counter(name, label, value).increment(count);
        }
    }

    fn counter(&self, name: &'static str, label: &'static str, value: &Arc<str>) -> Counter {
        let counter = || self.metrics.counter(name, vec![Label::new(label, value.to_string())]);
        self.counters.borrow_mut().entry((name, value.clone())).or_insert_with(counter).clone()
    }
}

/// Calls `each` for every counter of a shard's agents and timers, with its name, its label, the
/// label's value and the count.
fn each_counter(shard: &Shard, mut each: impl FnMut(&'static str, &'static str, &Arc<str>, &Cell<u64>)) {
    for agent in &shard.agents {
        let counters = &agent.counters;
        for (counter, count) in [
            ("marlowe_events_total", &counters.events),
            ("marlowe_events_handled_total", &counters.handled),
            ("marlowe_events_failed_total", &counters.failed),
            ("marlowe_events_retried_total", &counters.retried),
            ("marlowe_events_conflicting_total", &counters.conflicts),
            ("marlowe_events_dead_lettered_total", &counters.dead_lettered),
            ("marlowe_events_skipped_total", &counters.skipped),
        ] {
            each(counter, "agent", &agent.name, count);
        }
    }
    for timer in &shard.timers {
        each("marlowe_partition_timer_runs_total", "timer", &timer.name, &timer.runs);
        each("marlowe_partition_timer_failures_total", "timer", &timer.name, &timer.failures);
    }
}

/// The state that a worker already had of a shard when it restored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorState {
    /// A standby that followed its changelogs.
    Standby,
    /// A store from an earlier time.
    Store,
    Nothing,
}

impl PriorState {
    pub(crate) fn text(self) -> &'static str {
        match self {
            PriorState::Standby => "standby",
            PriorState::Store => "store",
            PriorState::Nothing => "nothing",
        }
    }
}
