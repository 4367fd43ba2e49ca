//! The number of partitions that a group's topics and tables agree on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::TopologyError;
use super::graph::{TableNode, TopicNode, TopicRole};

/// The numbers of partitions of a group's topics and tables, each with its source.
pub(super) struct Counts {
    /// The numbers of the program's own topics, and the declared ones.
    wanted: Vec<Count>,
    /// The numbers of the topics that Marlowe keeps for the group.
    kept: Vec<Count>,
}

struct Count {
    /// The source, as "`views`" or "table `by-page`".
    of: String,
    partitions: u32,
}

impl Counts {
    pub(super) fn of(topics: &[&TopicNode], tables: &[&TableNode], existing: &BTreeMap<Arc<str>, u32>) -> Self {
        let (mut wanted, mut kept) = (Vec::new(), Vec::new());
        for topic in topics {
            let of = format!("`{}`", topic.name);
            match (existing.get(&topic.name).copied(), topic.role) {
                (Some(partitions), TopicRole::Declared) => wanted.push(Count { of, partitions }),
                (Some(partitions), _) => kept.push(Count { of, partitions }),
                (None, _) => wanted.extend(topic.partitions.map(|partitions| Count { of, partitions })),
            }
        }
        for table in tables {
            let of = format!("table `{}`", table.name);
            wanted.extend(table.partitions.map(|partitions| Count { of, partitions }));
        }
        Self { wanted, kept }
    }

    /// Returns the number that all agree on; `None` if neither topics nor declarations have one.
    /// `users` returns the names of the agents, timers and tables that tie the topics together, for
    /// the error.
    ///
    /// # Errors
    /// If they disagree. The topics that Marlowe keeps cannot change to another number, because
    /// keys would have other home partitions.
    pub(super) fn agree(&self, users: impl Fn() -> Vec<String>) -> Result<Option<u32>, TopologyError> {
        let Self { wanted, kept } = self;
        let first = |counts: &[Count]| counts.first().map(|count| count.partitions);
        if let (Some(is), Some(was)) = (first(wanted), first(kept))
            && wanted.iter().all(|count| count.partitions == is)
            && kept.iter().any(|count| count.partitions != is)
        {
            return Err(TopologyError::PartitionsChanged {
                users: users(),
                wanted: said(wanted),
                kept: said(kept.iter().filter(|count| count.partitions != is)),
                was,
            });
        }
        let all = || wanted.iter().chain(kept);
        let count = all().next().map(|count| count.partitions);
        if all().any(|other| Some(other.partitions) != count) {
            return Err(TopologyError::NotCopartitioned {
                topics: all().map(|count| count.of.clone()).collect(),
                users: users(),
                counts: said(all()),
            });
        }
        Ok(count)
    }
}

fn said<'a>(counts: impl IntoIterator<Item = &'a Count>) -> Vec<String> {
    counts.into_iter().map(|Count { of, partitions }| format!("{of} has {partitions}")).collect()
}
