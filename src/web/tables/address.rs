//! The paths of tables and rows, and the key in a row's path.

use axum::http::Uri;
use marlowe_broker::Partition;
use serde_json::Value;

use crate::codec::percent;
use crate::table::AnyTable;
use crate::web::problem::Problem;

/// Returns the table that a path names: `/tables/{table}` and everything below it.
pub(crate) fn table_name(uri: &Uri) -> String {
    String::from_utf8_lossy(&percent::decode(split(uri).0)).into_owned()
}

/// Returns the table's name and the key in a path, both still encoded. The key keeps its slashes.
fn split(uri: &Uri) -> (&str, &str) {
    let rest = uri.path().strip_prefix("/tables/").unwrap_or_default();
    rest.split_once('/').unwrap_or((rest, ""))
}

/// A key that a request names, in all its forms.
pub(crate) struct RowKey {
    /// The form in the store.
    pub(crate) ordered: Vec<u8>,
    /// The form in topics, as the table's own type writes it. It determines the home partition.
    pub(crate) topic: Vec<u8>,
    pub(crate) json: Value,
}

impl RowKey {
    /// Returns the key in a row's path. The key must be short enough for a row.
    pub(crate) fn in_path(table: &dyn AnyTable, uri: &Uri) -> Result<Self, Problem> {
        let key = Self::parse(table, &percent::decode(split(uri).1))?;
        table.check_length(&key.ordered).map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok(key)
    }

    /// Parses `text` as a key.
    pub(crate) fn parse(table: &dyn AnyTable, text: &[u8]) -> Result<Self, Problem> {
        let (mut ordered, mut topic) = (Vec::new(), Vec::new());
        let json = table.ordered_key(text, &mut ordered).and_then(|()| {
            table.topic_key(&ordered, &mut topic)?;
            table.key_json(&ordered)
        });
        let json = json.map_err(|error| {
            Problem::bad_request(format!(
                "table `{}`: the key is {error}; write text as it is, numbers in decimal digits, and a key of several parts as \
                 a JSON array, percent-encoded",
                table.name()
            ))
        })?;
        Ok(Self { ordered, topic, json })
    }

    pub(crate) fn home(&self, table: &dyn AnyTable, partitions: u32) -> Partition {
        table.home(&self.topic, partitions)
    }
}
