//! The route `/metrics`, for Prometheus.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use marlowe_broker::{BrokerError, Offset, OffsetSpec, Partition, TopicPartition};
use tokio::time::timeout;

use super::site::{STATES, Site, state_name};
use crate::query::GlobalStore;
use crate::shard::ShardId;
use crate::table::AnyTable;
use crate::topology::TableKind;

/// The time that the broker may take to tell positions and ends. All other numbers are in memory.
const LAG_WITHIN: Duration = Duration::from_secs(2);

/// Answers `GET /metrics`: the numbers that the worker counted, and those that are looked up now.
///
/// Numbers that are looked up are written to the page and not kept. So a shard that moved to
/// another worker leaves no number behind.
pub(crate) async fn show(State(site): State<Arc<Site>>) -> impl IntoResponse {
    let mut page = MetricsPage { text: site.metrics.handle().render() };
    site.worker_metrics(&mut page);
    site.table_metrics(&mut page);
    site.standby_metrics(&mut page);
    match timeout(LAG_WITHIN, site.lag_metrics(&mut page)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("the lag is missing from the metrics: {error}"),
        Err(_) => {
            tracing::warn!("the lag is missing from the metrics: the broker did not answer within {LAG_WITHIN:?}")
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.text)
}

/// Metrics in Prometheus's text format.
struct MetricsPage {
    text: String,
}

impl MetricsPage {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Site {
    fn worker_metrics(&self, page: &mut MetricsPage) {
        let condition = self.condition();
        page.family("marlowe_worker_info", "gauge", "The worker: always 1");
        let version = env!("CARGO_PKG_VERSION");
        let labels = [("app", &*condition.app), ("worker", &*condition.worker), ("version", version)];
        page.sample("marlowe_worker_info", &labels, 1);
        page.family("marlowe_worker_state", "gauge", "1 for the state that the worker is in, 0 for the others");
        for state in STATES.map(state_name) {
            page.sample("marlowe_worker_state", &[("state", state)], u8::from(state == condition.state));
        }
        page.family("marlowe_worker_leader", "gauge", "Whether the worker leads its app");
        page.sample("marlowe_worker_leader", &[], u8::from(condition.leader));
        if let Some(left) = self.shared.routes.directory.leader_tasks_left() {
            page.family(
                "marlowe_leader_tasks_left",
                "gauge",
                "Tasks and sources of the app's leader that are not done",
            );
            page.sample("marlowe_leader_tasks_left", &[], left);
        }
        page.family("marlowe_shards_restoring", "gauge", "Shards that are not open yet");
        page.sample("marlowe_shards_restoring", &[], condition.restoring);
        page.family("marlowe_restore_remaining_records", "gauge", "Changelog records left to read by running restores");
        page.sample("marlowe_restore_remaining_records", &[], condition.remaining);
        page.family("marlowe_restored_records_total", "counter", "Changelog records read by restores");
        page.sample("marlowe_restored_records_total", &[], self.progress.restored.load(Ordering::Relaxed));
        page.family(
            "marlowe_promotion_records_total",
            "counter",
            "Changelog records read by restores that continued from a standby of this worker",
        );
        page.sample("marlowe_promotion_records_total", &[], self.progress.promoted.load(Ordering::Relaxed));
    }

    fn table_metrics(&self, page: &mut MetricsPage) {
        let tables = &self.shared.program.tables;
        let mine: Vec<_> = tables.iter().map(|table| (table.name(), self.own_rows(*table))).collect();
        page.family("marlowe_table_rows", "gauge", "Committed rows in the worker's shards, by table");
        for (name, (rows, _)) in &mine {
            page.sample("marlowe_table_rows", &[("table", name)], rows);
        }
        page.family("marlowe_table_bytes", "gauge", "Bytes of their keys and values, by table");
        for (name, (_, bytes)) in &mine {
            page.sample("marlowe_table_bytes", &[("table", name)], bytes);
        }
        let copies = tables.iter().filter(|table| table.identity().kind == TableKind::Global);
        let copies: Vec<_> = copies
            .map(|table| {
                let store = self.scope.global(table.name()).store;
                (table.name(), store.count(GlobalStore::TABLE), store.bytes(GlobalStore::TABLE))
            })
            .collect();
        page.family("marlowe_global_copy_rows", "gauge", "Rows in the worker's copy of a global table, by table");
        for (name, rows, _) in &copies {
            page.sample("marlowe_global_copy_rows", &[("table", name)], rows.as_ref().unwrap_or(&0));
        }
        page.family("marlowe_global_copy_bytes", "gauge", "Bytes of their keys and values, by table");
        for (name, _, bytes) in &copies {
            page.sample("marlowe_global_copy_bytes", &[("table", name)], bytes.as_ref().unwrap_or(&0));
        }
    }

    /// Adds how far the worker's standbys are behind.
    fn standby_metrics(&self, page: &mut MetricsPage) {
        let Some(standbys) = &self.standbys else { return };
        let followed = standbys.followed().borrow().clone();
        let label = |shard: &ShardId| {
            let group = self.shared.topology.groups[shard.group].name.to_string();
            (group, shard.partition.to_string())
        };
        page.family("marlowe_standby_records_total", "counter", "Changelog offsets read by standbys");
        page.sample("marlowe_standby_records_total", &[], self.progress.followed.load(Ordering::Relaxed));
        page.family("marlowe_standby_lag_records", "gauge", "Changelog offsets that a standby has not read, by shard");
        for followed in &followed {
            let (group, partition) = label(&followed.shard);
            let labels = [("group", &*group), ("partition", &*partition)];
            page.sample("marlowe_standby_lag_records", &labels, followed.lag.load(Ordering::Relaxed));
        }
        page.family(
            "marlowe_standby_stale_seconds",
            "gauge",
            "Time since a standby was last known to be up to date, by shard",
        );
        for (followed, stale) in
            followed.iter().filter_map(|followed| Some((followed, followed.freshness.staleness()?)))
        {
            let (group, partition) = label(&followed.shard);
            let labels = [("group", &*group), ("partition", &*partition)];
            page.sample("marlowe_standby_stale_seconds", &labels, stale.as_secs_f64());
        }
    }

    /// Returns the rows and bytes of a table in this worker's shards.
    fn own_rows(&self, table: &dyn AnyTable) -> (u64, u64) {
        let slices = Partition::all(self.partitions(table))
            .filter_map(|partition| self.shared.routes.slices.slice(table.name(), partition))
            .filter(|slice| slice.owner.worker == self.scope.worker);
        slices.map(|published| published.slice).fold((0, 0), |(rows, bytes), slice| {
            (rows + slice.store.count(slice.table).unwrap_or(0), bytes + slice.store.bytes(slice.table).unwrap_or(0))
        })
    }

    /// Adds how far the worker's shards are behind the ends of their inputs.
    async fn lag_metrics(&self, page: &mut MetricsPage) -> Result<(), BrokerError> {
        let shards = self.status.borrow().shards.clone();
        let topology = &self.shared.topology;
        let mut lags: Vec<(TopicPartition, u64)> = Vec::new();
        for (number, group) in topology.groups.iter().enumerate() {
            let mine: Vec<Partition> =
                shards.iter().filter(|shard| shard.group == number).map(|shard| shard.partition).collect();
            if mine.is_empty() {
                continue;
            }
            let mut inputs: Vec<&Arc<str>> = topology
                .graph
                .agents
                .iter()
                .filter(|agent| group.agents.contains(&agent.name))
                .map(|agent| &agent.reads)
                .collect();
            inputs.sort();
            inputs.dedup();
            for topic in inputs {
                lags.extend(self.lags(topic, &mine).await?);
            }
        }
        page.family(
            "marlowe_lag_records",
            "gauge",
            "Offsets from the committed position to the end, by topic and partition",
        );
        for (partition, lag) in &lags {
            let number = partition.partition.to_string();
            page.sample("marlowe_lag_records", &[("topic", &partition.topic), ("partition", &number)], lag);
        }
        Ok(())
    }

    async fn lags(&self, topic: &Arc<str>, mine: &[Partition]) -> Result<Vec<(TopicPartition, u64)>, BrokerError> {
        let broker = &self.shared.broker;
        let partitions: Vec<TopicPartition> =
            mine.iter().map(|partition| TopicPartition::new(topic.clone(), *partition)).collect();
        // Positions are looked up first. Otherwise they could be beyond the ends.
        let committed = broker.committed(&self.scope.app, &partitions).await?;
        let starts = broker.offsets(topic, mine, OffsetSpec::Earliest).await?;
        let ends = broker.offsets(topic, mine, OffsetSpec::Latest).await?;
        let lag = |((committed, start), end): ((Option<Offset>, Offset), Offset)| {
            let at = committed.map_or(start, |at| at.max(start));
            at.min(end).distance_to(end)
        };
        let committed = committed.into_iter().map(|committed| committed.map(|committed| committed.offset));
        Ok(partitions.into_iter().zip(committed.zip(starts).zip(ends).map(lag)).collect())
    }
}
