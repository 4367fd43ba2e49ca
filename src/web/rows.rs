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

use super::address::{RowKey, table_name};
use super::query::Query;
use super::row::failed;
use super::site::Site;
use super::slice::{StateOf, Target};
use super::{percent, problem::Problem};
use crate::peer::Wanted;
use crate::table::{AnyTable, Keyspace, TableKind};

const DEFAULT_LIMIT: u64 = 100;
pub(crate) const MAX_LIMIT: u64 = 10_000;

/// A page of a table.
#[derive(Debug, Serialize)]
pub(crate) struct PageAnswer {
    rows: Vec<RowOfPage>,
    /// The first key of the next page.
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
    value: Value,
    partition: u32,
}

#[derive(Debug, Serialize)]
struct PositionOf {
    partition: u32,
    #[serde(flatten)]
    state: StateOf,
}

/// What a page is asked for.
struct Asked {
    range: KeyRange,
    /// Rows of the range's first key in earlier partitions were on the page before.
    from_partition: Option<Partition>,
    partitions: Vec<Partition>,
    limit: usize,
    stale_within: Option<std::time::Duration>,
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
    const KNOWN: [&str; 7] = ["prefix", "from", "from_partition", "limit", "partition", "stale", "wait"];
    let query = Query::parse(query.as_deref(), &KNOWN)?;
    let table = site.table(&table_name(&uri))?;
    let partitions = site.partitions(table);
    let asked = Asked::read(&query, table, partitions)?;
    let (parts, positions) = site.scan(table, &asked, query.deadline()?).await?;
    let mut rows = Vec::new();
    let mut next = None;
    for (key, value, partition) in Merged::new(&parts) {
        let fail = |error| failed(table, error);
        let mut topic_key = Vec::new();
        table.topic_key(key, &mut topic_key).map_err(fail)?;
        let partition = partition.unwrap_or_else(|| table.home(&topic_key, partitions));
        if rows.len() == asked.limit {
            next = Some((topic_key, partition));
            break;
        }
        let (key, value) = (table.key_json(key).map_err(fail)?, table.value_json(value).map_err(fail)?);
        rows.push(RowOfPage { key, value, partition: partition.get() });
    }
    let local = table.keyspace() == Keyspace::PartitionLocal;
    let headers = StateOf::headers(positions.iter().filter_map(|part| part.state.stale).max());
    let answer = PageAnswer {
        rows,
        next_page: next.as_ref().map(|(key, partition)| {
            let from_partition = if local { format!("&from_partition={partition}") } else { String::new() };
            let same = ["prefix", "partition", "limit", "stale"]
                .into_iter()
                .filter_map(|name| Some(format!("&{name}={}", percent::encode(query.bytes(name)?))));
            let same: String = same.collect();
            format!("{}?from={}{from_partition}{same}", uri.path(), percent::encode(key))
        }),
        next_partition: next.as_ref().filter(|_| local).map(|(_, partition)| partition.get()),
        // A key of bytes that are no text has its text in URLs only.
        next: next.map(|(key, _)| String::from_utf8(key).unwrap_or_else(|key| percent::encode(key.as_bytes()))),
        positions,
    };
    Ok((headers, Json(answer)))
}

impl Asked {
    fn read(query: &Query, table: &dyn AnyTable, partitions: u32) -> Result<Self, Problem> {
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
        if let Some(from) = query.bytes("from") {
            let from = RowKey::parse(table, from)?.ordered;
            if range.start == Bound::Unbounded || matches!(&range.start, Bound::Included(start) if *start < from) {
                range.start = Bound::Included(from);
            }
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
    fn range_in(&self, partition: Partition) -> KeyRange {
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
