use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a worker says of itself: the value of its record in `{app}-workers`, in JSON. The key is its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The process it runs in.
    pub(crate) process: Arc<str>,
    /// Where it can be asked; `None` when it has no web server.
    pub(crate) url: Option<Arc<str>>,
    /// When it started, in milliseconds since 1970.
    pub(crate) started: i64,
    /// A worker that says nothing for so many milliseconds is taken for dead.
    pub(crate) silent_after: u64,
    /// The shards it has taken, by group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shards: BTreeMap<Arc<str>, Vec<ShardClaim>>,
    /// The shards that it stands by for, by group: it has a copy of their tables that follows the changelogs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) standbys: BTreeMap<Arc<str>, Vec<u32>>,
    /// The generation at which it became the leader, if it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leads: Option<u64>,
    /// How many tasks and sources of the leader are not done. Of a worker that does not lead it says nothing.
    #[serde(default)]
    pub(crate) leader_tasks_left: usize,
}

/// A shard that a worker has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardClaim {
    pub(crate) partition: u32,
    /// The group's generation at which it was taken.
    pub(crate) generation: u64,
    /// Whether it is open; otherwise it is being restored.
    pub(crate) open: bool,
}

impl Entry {
    pub(crate) fn claim(&self, group: &str, partition: u32) -> Option<ShardClaim> {
        self.shards.get(group)?.iter().find(|claim| claim.partition == partition).copied()
    }

    pub(crate) fn silent_after(&self) -> Duration {
        Duration::from_millis(self.silent_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_as_it_was_written() -> Result<(), serde_json::Error> {
        let shards = [("views".into(), vec![ShardClaim { partition: 3, generation: 12, open: true }])];
        let entry = Entry {
            process: "p".into(),
            url: Some("http://10.0.0.5:6066".into()),
            started: 1_700_000_000_000,
            silent_after: 135_000,
            shards: shards.into(),
            standbys: [("views".into(), vec![1, 2])].into(),
            leads: Some(12),
            leader_tasks_left: 1,
        };
        let json = serde_json::to_string(&entry)?;
        assert_eq!(serde_json::from_str::<Entry>(&json)?, entry, "{json}");
        // A later version may say more.
        let more = json.replacen('{', r#"{"colour":"red","#, 1);
        assert_eq!(serde_json::from_str::<Entry>(&more)?, entry);
        Ok(())
    }
}
