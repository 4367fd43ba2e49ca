//! The entry of a worker in the topic of workers, and its signature.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use marlowe_broker::Timestamp;
use serde::{Deserialize, Serialize};

use super::token::ClusterToken;

/// The header with a record's signature, if the workers share a token.
pub(crate) const SIGNATURE: &str = "marlowe-signature";

/// The longest silence after which a worker still counts. It limits how long a forged record
/// counts. Workers repeat their entries once a session.
const LONGEST_SILENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A worker's description of itself: the JSON value of its record in `{app}-workers`. The key is
/// the worker's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The process that the worker runs in.
    pub(crate) process: Arc<str>,
    /// The URL where it can be asked; `None` if it has no web server.
    pub(crate) url: Option<Arc<str>>,
    /// The start of the worker, in milliseconds since 1970.
    pub(crate) started: i64,
    /// A worker that has been silent for longer than this, in milliseconds, does not count any
    /// more.
    pub(crate) silent_after: u64,
    /// The shards that it has taken, by group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shards: BTreeMap<Arc<str>, Vec<ShardClaim>>,
    /// The shards that it keeps a standby of, by group: copies of their tables that follow the
    /// changelogs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) standbys: BTreeMap<Arc<str>, Vec<u32>>,
    /// The generation at which it became the leader, if it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leads: Option<u64>,
    /// The number of the leader's tasks and sources that are not done. It has no meaning if the
    /// worker does not lead.
    #[serde(default)]
    pub(crate) leader_tasks_left: usize,
}

/// A shard that a worker has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardClaim {
    pub(crate) partition: u32,
    /// The group's generation at which it was taken.
    pub(crate) generation: u64,
    /// True if the shard is open. Otherwise it is being restored.
    pub(crate) open: bool,
}

impl Entry {
    pub(crate) fn claim(&self, group: &str, partition: u32) -> Option<ShardClaim> {
        self.shards.get(group)?.iter().find(|claim| claim.partition == partition).copied()
    }

    pub(crate) fn silent_after(&self) -> Duration {
        Duration::from_millis(self.silent_after).min(LONGEST_SILENCE)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// If it is not an entry, or if its URL is not `http://HOST:PORT` or `https://HOST:PORT`.
    /// Otherwise whoever writes the record could choose which path workers call.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        match &entry.url {
            Some(url) if !is_origin(url) => Err(format!("its URL `{}` is not http://HOST:PORT", url.escape_debug())),
            _ => Ok(entry),
        }
    }
}

/// Returns `true` if a URL has a scheme, a host and perhaps a port, and nothing else.
fn is_origin(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let has_host = !authority.host().is_empty() && !authority.as_str().contains('@');
    matches!(scheme, "http" | "https") && has_host && url == format!("{scheme}://{authority}")
}

/// Signs the record of a worker. `value` is `None` if the worker leaves.
pub(crate) fn sign(
    token: &ClusterToken,
    topic: &str,
    worker: &str,
    timestamp: Timestamp,
    value: Option<&[u8]>,
) -> Vec<u8> {
    with_parts(topic, worker, timestamp, value, |parts| token.sign(PURPOSE, parts))
}

/// Returns `true` if the signature of a worker's record was made with the token.
pub(crate) fn is_signed(
    token: &ClusterToken,
    topic: &str,
    worker: &str,
    timestamp: Timestamp,
    value: Option<&[u8]>,
    signature: &[u8],
) -> bool {
    with_parts(topic, worker, timestamp, value, |parts| token.has_signed(PURPOSE, parts, signature))
}

const PURPOSE: &str = "marlowe directory entry";

fn with_parts<T>(
    topic: &str,
    worker: &str,
    timestamp: Timestamp,
    value: Option<&[u8]>,
    then: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let timestamp = timestamp.millis().to_be_bytes();
    let is_there: &[u8] = if value.is_some() { &[1] } else { &[0] };
    then(&[topic.as_bytes(), worker.as_bytes(), &timestamp, is_there, value.unwrap_or_default()])
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
        assert_eq!(Entry::parse(json.as_bytes()).as_ref(), Ok(&entry));
        // A later version may add fields.
        let more = json.replacen('{', r#"{"colour":"red","#, 1);
        assert_eq!(serde_json::from_str::<Entry>(&more)?, entry);
        Ok(())
    }

    #[test]
    fn an_entry_whose_url_is_more_than_an_origin_is_refused() {
        let parse = |url: &str, silent_after: u64| {
            let entry = Entry { url: Some(url.into()), silent_after, ..Entry::default() };
            Entry::parse(&serde_json::to_vec(&entry).unwrap())
        };
        for url in ["http://10.0.0.5:6066", "https://node-5", "http://[fd00::5]:6066"] {
            assert!(parse(url, 1).is_ok(), "{url}");
        }
        for url in [
            "http://h:1/admin?",
            "http://h:1/",
            "http://h:1?x=",
            "http://h:1#",
            "http://a:b@h:1",
            "ftp://h:1",
            "//h:1",
            "h:1",
            "",
            "http://",
            "http://h:1\r\nx",
        ] {
            assert!(parse(url, 1).is_err(), "{url}");
        }
        assert_eq!(parse("http://h:1", u64::MAX).unwrap().silent_after(), LONGEST_SILENCE);
    }
}
