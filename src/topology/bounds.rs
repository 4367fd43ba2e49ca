//! Checks of declared numbers and times.

use std::time::Duration;

use marlowe_broker::Cleanup;

use super::error::TopologyError;
use super::graph::{Graph, TimerKind};
use crate::limits::{LONGEST, MOST_PARTITIONS, wrong_interval};

/// Checks that intervals are longer than zero and not beyond any use, and that numbers of
/// partitions and cached rows are possible.
pub(super) fn check_bounds(graph: &Graph) -> Result<(), TopologyError> {
    partitions("app", &graph.app, Some(graph.default_partitions))?;
    for topic in &graph.topics {
        partitions("topic", &topic.name, topic.partitions)?;
        if let Cleanup::Delete { retention: Some(retention) } | Cleanup::CompactDelete { retention } = topic.cleanup {
            interval(|| format!("the retention of topic `{}`", topic.name), retention)?;
        }
    }
    for table in &graph.tables {
        partitions("table", &table.name, table.partitions)?;
        if table.cache_rows == 0 {
            return Err(TopologyError::OutOfBounds {
                what: format!("table `{}`", table.name),
                reason: "cache_rows(0) leaves no room for the row in use: use at least 1".into(),
            });
        }
    }
    for timer in &graph.timers {
        if let TimerKind::Every(every) = timer.kind {
            interval(|| format!("the interval of timer `{}`", timer.name), every)?;
        }
    }
    Ok(())
}

fn interval(what: impl Fn() -> String, interval: Duration) -> Result<(), TopologyError> {
    match wrong_interval(interval, LONGEST) {
        Some(reason) => Err(TopologyError::OutOfBounds { what: what(), reason }),
        None => Ok(()),
    }
}

fn partitions(kind: &'static str, name: &std::sync::Arc<str>, declared: Option<u32>) -> Result<(), TopologyError> {
    match declared {
        Some(0) => Err(TopologyError::NoPartitions { kind, name: name.clone() }),
        Some(many) if many > MOST_PARTITIONS => Err(TopologyError::OutOfBounds {
            what: format!("{kind} `{name}`"),
            reason: format!("{many} partitions are more than a topic can have: use at most {MOST_PARTITIONS}"),
        }),
        _ => Ok(()),
    }
}
