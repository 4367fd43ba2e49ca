use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::TopologyError;
use super::graph::{TableNode, TopicNode, TopicRole};

/// How many partitions a group's topics and tables have, and who says so.
pub(super) struct Counts {
    /// What the program's own topics have, or what was declared.
    wanted: Vec<Count>,
    /// What the topics have that Marlowe keeps for the group.
    kept: Vec<Count>,
}

struct Count {
    /// "`views`", "table `by-page`".
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

    /// The one number that all have; `None` when nothing says one. `users` are those who tie the topics together.
    ///
    /// # Errors
    /// When they disagree. What is kept cannot follow what is wanted.
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
