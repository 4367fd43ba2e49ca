use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Uri};
use futures_util::future::try_join_all;
use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::address::{RowKey, table_name};
use super::query::Query;
use super::row::{BadValue, ShownValue};
use super::site::Site;
use super::slice::{StateOf, Target};
use super::{percent, problem::Problem};
use crate::peer::Wanted;
use crate::table::{AnyTable, Keyspace, TableKind, escaped};

/// The fields of its query.
pub(super) const KNOWN: [&str; 8] =
    ["prefix", "from", "from_stored", "from_partition", "limit", "partition", "stale", "wait"];

const DEFAULT_LIMIT: u64 = 100;
pub(crate) const MAX_LIMIT: u64 = 10_000;

/// A page of a table.
#[derive(Debug, Serialize)]
pub(crate) struct PageAnswer {
    rows: Vec<RowOfPage>,
    /// The first key of the next page, if it decodes.
    next: Option<String>,
    /// The partition of that key's row, where partitions have rows of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_partition: Option<u32>,
    /// Where the next page is.
    next_page: Option<String>,
    /// The state of each partition that the rows are from.
    positions: Vec<PositionOf>,
}

#[derive(Debug, Serialize)]
struct RowOfPage {
    key: Value,
    /// Where it decodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// Why the row does not decode.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What its value is instead, if that can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Box<RawValue>>,
    /// Unknown in a copy of a global table, where the key does not decode.
    partition: Option<u32>,
}

impl RowOfPage {
    fn new(table: &dyn AnyTable, ordered: &[u8], value: &[u8], partition: Option<Partition>) -> Self {
        let (key, bad_key) = match table.key_json(ordered) {
            Ok(key) => (key, None),
            Err(error) => (escaped(ordered).into(), Some(error)),
        };
        let (value, error, stored) = match (bad_key, ShownValue::of(table, value)) {
            (None, Ok(value)) => (Some(value.0), None, None),
            (None, Err(BadValue { error, stored })) => {
                (None, Some(format!("the value does not decode: {error}")), stored)
            }
            (Some(error), value) => {
                (None, Some(format!("the key does not decode: {error}")), value.ok().map(|value| value.0))
            }
        };
        Self { key, value, error, stored, partition: partition.map(Partition::get) }
    }
}

#[derive(Debug, Serialize)]
struct PositionOf {
    partition: u32,
    #[serde(flatten)]
    state: StateOf,
}

/// What a page is asked for.
pub(super) struct Asked {
    range: KeyRange,
    /// Rows of the range's first key in earlier partitions were on the page before.
    from_partition: Option<Partition>,
    partitions: Vec<Partition>,
    limit: usize,
    stale_within: Option<std::time::Duration>,
}

/// The first row of the next page.
struct Next<'a> {
    /// `None`: the key does not decode.
    topic_key: Option<Vec<u8>>,
    /// The key in the store's form.
    stored: &'a [u8],
    partition: Option<Partition>,
}

/// The rows of one scan, with the partition where all of them are from one.
struct Part {
    partition: Option<Partition>,
    rows: Rows,
}

/// `GET /tables/{table}?prefix=&from=&limit=`: a page of rows, in key order, from all partitions.
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<(HeaderMap, Json<PageAnswer>), Problem> {
    let query = Query::parse(query.as_deref(), &KNOWN)?;
    let table = site.table(&table_name(&uri))?;
    let partitions = site.partitions(table);
    let asked = Asked::read(&query, table, partitions)?;
    let (parts, positions) = site.scan(table, &asked, query.deadline()?).await?;
    let mut rows = Vec::new();
    let mut next = None;
    for (key, value, partition) in Merged::new(&parts) {
        let mut topic_key = Vec::new();
        let topic_key = table.topic_key(key, &mut topic_key).is_ok().then_some(topic_key);
        let home = || topic_key.as_ref().map(|key| table.home(key, partitions));
        let partition = partition.or_else(home);
        if rows.len() == asked.limit {
            next = Some(Next { topic_key, stored: key, partition });
            break;
        }
        rows.push(RowOfPage::new(table, key, value, partition));
    }
    let local = table.keyspace() == Keyspace::PartitionLocal;
    let headers = StateOf::headers(positions.iter().filter_map(|part| part.state.stale).max());
    let answer = PageAnswer {
        rows,
        next_page: next.as_ref().map(|next| {
            let from_partition = next.partition.filter(|_| local);
            let from_partition = from_partition.map(|at| format!("&from_partition={at}")).unwrap_or_default();
            let (from, key) = match &next.topic_key {
                Some(key) => ("from", key.as_slice()),
                None => ("from_stored", next.stored),
            };
            let same = ["prefix", "partition", "limit", "stale"]
                .into_iter()
                .filter_map(|name| Some(format!("&{name}={}", percent::encode(query.bytes(name)?))));
            let same: String = same.collect();
            format!("{}?{from}={}{from_partition}{same}", uri.path(), percent::encode(key))
        }),
        next_partition: next.as_ref().filter(|_| local).and_then(|next| next.partition).map(Partition::get),
        // A key of bytes that are no text has its text in URLs only.
        next: next
            .and_then(|next| next.topic_key)
            .map(|key| String::from_utf8(key).unwrap_or_else(|key| percent::encode(key.as_bytes()))),
        positions,
    };
    Ok((headers, Json(answer)))
}

impl Asked {
    pub(super) fn read(query: &Query, table: &dyn AnyTable, partitions: u32) -> Result<Self, Problem> {
        let limit = query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request(format!("`?limit={limit}`: from 1 to {MAX_LIMIT}")));
        }
        let mut range = match query.bytes("prefix") {
            None => KeyRange::all(),
            Some(prefix) if table.same_key_bytes() => KeyRange::prefix(prefix),
            Some(_) => {
                return Err(Problem::bad_request(format!(
                    "table `{}`: `?prefix=` is for keys that are text; use `?from=`",
                    table.name()
                )));
            }
        };
        // A key that does not decode has no other form than the store's.
        let from = match (query.bytes("from"), query.bytes("from_stored")) {
            (Some(from), _) => Some(RowKey::parse(table, from)?.ordered),
            (None, from) => from.map(<[u8]>::to_vec),
        };
        if let Some(from) = from
            && (range.start == Bound::Unbounded || matches!(&range.start, Bound::Included(start) if *start < from))
        {
            range.start = Bound::Included(from);
        }
        let is_copy = table.identity().kind == TableKind::Global;
        let partitions = match query.partition("partition", partitions)? {
            Some(_) if is_copy => {
                return Err(Problem::bad_request(format!(
                    "table `{}` is global, and answered from a copy of all its partitions; leave out ?partition=",
                    table.name()
                )));
            }
            Some(one) => vec![one],
            None => Partition::all(partitions).collect(),
        };
        let from_partition = query.partition("from_partition", u32::MAX)?;
        Ok(Self { range, from_partition, partitions, limit: limit as usize, stale_within: query.stale(table)? })
    }

    /// What of the range to read in a partition.
    pub(super) fn range_in(&self, partition: Partition) -> KeyRange {
        let mut range = self.range.clone();
        if self.from_partition.is_some_and(|from| partition < from)
            && let Bound::Included(start) = range.start
        {
            range.start = Bound::Excluded(start);
        }
        range
    }
}

impl Site {
    /// Reads what a page may need: of each partition so many rows as the page may have, and one more, which tells whether
    /// there is a next page.
    async fn scan(
        &self,
        table: &dyn AnyTable,
        asked: &Asked,
        deadline: tokio::time::Instant,
    ) -> Result<(Vec<Part>, Vec<PositionOf>), Problem> {
        let is_copy = table.identity().kind == TableKind::Global;
        let read = asked.partitions.iter().map(|partition| async move {
            let wanted = Wanted::default();
            let target = Target { table, partition: *partition, wanted, deadline, stale_within: asked.stale_within };
            let range = asked.range_in(*partition);
            // A copy holds all partitions in one.
            if (is_copy && partition.get() > 0) || range.is_empty() {
                return Ok((None, PositionOf { partition: partition.get(), state: self.state(target).await? }));
            }
            let (rows, state) = self.rows(target, range, asked.limit + 1).await?;
            let part = Part { partition: (!is_copy).then_some(*partition), rows };
            Ok((Some(part), PositionOf { partition: partition.get(), state }))
        });
        let (parts, positions): (Vec<_>, Vec<_>) = try_join_all(read).await?.into_iter().unzip();
        Ok((parts.into_iter().flatten().collect(), positions))
    }
}

/// The rows of several scans, in key order.
struct Merged<'a> {
    parts: &'a [Part],
    /// The next row of each part that has one: its key, the part, the row's place in it.
    heads: BinaryHeap<Reverse<(&'a [u8], usize, usize)>>,
}

impl<'a> Merged<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let mut merged = Self { parts, heads: BinaryHeap::new() };
        (0..parts.len()).for_each(|part| merged.push(part, 0));
        merged
    }

    fn push(&mut self, part: usize, place: usize) {
        if let Some((key, _)) = self.parts[part].rows.get(place) {
            self.heads.push(Reverse((key, part, place)));
        }
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a [u8], &'a [u8], Option<Partition>);

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((key, part, place)) = self.heads.pop()?;
        self.push(part, place + 1);
        let from = &self.parts[part];
        let (_, value) = from.rows.get(place)?;
        Some((key, value.unwrap_or_default(), from.partition))
    }
}
