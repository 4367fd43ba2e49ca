//! The route that shows a page of rows: `GET /tables/{table}`.
//!
//! Each partition has a cursor, which reads its rows ahead in key order. A heap merges the cursors.
//! So a page has the rows of all partitions in key order, and it is sent in pieces while it is
//! made.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::try_join_all;
use futures_util::stream::try_unfold;
use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::address::{RowKey, table_name};
use super::query::{DEFAULT_WAIT, Query};
use super::row::{BadValue, ShownValue};
use super::slice::{FoundRows, StateOf, Target};
use crate::codec::percent;
use crate::peer::Wanted;
use crate::table::{AnyTable, Keyspace, escaped};
use crate::topology::TableKind;
use crate::web::problem::Problem;
use crate::web::site::Site;

/// The fields of the query of a page.
pub(crate) const KNOWN: [&str; 8] =
    ["prefix", "from", "from_stored", "from_partition", "limit", "partition", "stale", "wait"];

const DEFAULT_LIMIT: u64 = 100;
pub(crate) const MAX_LIMIT: u64 = 10_000;

/// The most bytes of rows on a page, unless its first row alone has more.
const MAX_BYTES: usize = 16 << 20;

/// The number of bytes of rows that are read ahead for a page, for all partitions together.
const AHEAD: usize = 4 << 20;

/// The least number of bytes that are read ahead for one partition.
const AHEAD_AT_LEAST: usize = 64 << 10;

/// The size of the pieces in which a page is made and sent, in bytes. Between two pieces, other
/// requests have their turn.
const PIECE: usize = 64 << 10;

/// The end of a page, after its `rows`.
#[derive(Debug, Serialize)]
struct EndOfPage<'a> {
    /// The first key of the next page, if it decodes.
    next: Option<String>,
    /// The partition of that key's row, if partitions have rows of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_partition: Option<u32>,
    /// The path of the next page.
    next_page: Option<String>,
    /// The state of each partition from which rows were read.
    positions: &'a [PositionOf],
}

#[derive(Debug, Serialize)]
struct RowOfPage {
    key: Value,
    /// The value, if the row decodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// The reason why the row does not decode.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The stored value of a row that does not decode, if it can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Box<RawValue>>,
    /// The row's partition. It is unknown in a copy of a global table if the key does not decode.
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

/// The rows that a request asks for.
pub(crate) struct AskedRows {
    range: KeyRange,
    /// The first partition that may have a row of the range's first key. The rows of that key in
    /// earlier partitions were on the page before.
    from_partition: Option<Partition>,
    partitions: Vec<Partition>,
    limit: usize,
    stale_within: Option<std::time::Duration>,
    /// `true` if the worker's copy of a global table answers.
    is_copy: bool,
}

/// Answers `GET /tables/{table}?prefix=&from=&limit=`: a page of rows from all partitions, in key
/// order. It is sent while it is made.
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &KNOWN)?;
    let table = site.table(&table_name(&uri))?;
    let asked = AskedRows::read(&query, table, site.partitions(table))?;
    let deadline = query.deadline()?;
    // The path of the next page has these fields as they are in this one.
    let same = ["prefix", "partition", "limit", "stale"]
        .into_iter()
        .filter_map(|name| Some(format!("&{name}={}", percent::encode(query.bytes(name)?))));
    let page =
        Page::begin(site, table, asked, deadline, PagePath { path: uri.path().to_owned(), same: same.collect() })
            .await?;
    let headers = StateOf::headers(page.positions.iter().filter_map(|part| part.state.stale).max());
    let json = [(header::CONTENT_TYPE, "application/json")];
    let pieces = try_unfold(Some(page), async |page| match page {
        Some(page) => page.piece().await.map(Some),
        None => Ok(None),
    });
    Ok((headers, json, Body::from_stream(pieces)).into_response())
}

/// A page that is being made.
struct Page {
    site: Arc<Site>,
    table: &'static dyn AnyTable,
    partitions: u32,
    asked: AskedRows,
    way: PagePath,
    cursors: Vec<RowCursor>,
    /// The next row of each cursor that has one.
    heads: BinaryHeap<Reverse<Head>>,
    positions: Vec<PositionOf>,
    /// The number of rows and bytes that it has so far.
    rows: usize,
    bytes: usize,
}

/// The path by which a page is asked for.
struct PagePath {
    path: String,
    /// The fields of its query that the next page has too.
    same: String,
}

/// The next row of a cursor.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    cursor: usize,
}

/// A position in the rows of one partition, or in a copy of all partitions.
struct RowCursor {
    partition: Partition,
    /// The range that is left to read.
    range: KeyRange,
    rows: Rows,
    /// The index of the next row in `rows`.
    next: usize,
    /// `true` if there are rows after those in `rows`.
    more: bool,
}

/// A piece of a page, and the page if it has more pieces.
type Piece = (Bytes, Option<Page>);

impl Page {
    /// Reads the first rows of each partition.
    async fn begin(
        site: Arc<Site>,
        table: &'static dyn AnyTable,
        asked: AskedRows,
        deadline: tokio::time::Instant,
        way: PagePath,
    ) -> Result<Self, Problem> {
        let (partitions, is_copy) = (site.partitions(table), asked.is_copy);
        let (limit, ahead) = (asked.limit + 1, asked.ahead());
        let read = asked.partitions.iter().map(|partition| {
            let (site, partition, range) = (&site, *partition, asked.range_in(*partition));
            let target =
                Target { table, partition, wanted: Wanted::default(), deadline, stale_within: asked.stale_within };
            async move {
                // A copy holds the rows of all partitions together.
                if (is_copy && partition.get() > 0) || range.is_empty() {
                    return Ok((None, PositionOf { partition: partition.get(), state: site.state(target).await? }));
                }
                let FoundRows { rows, more, state } = site.rows(target, range.clone(), limit, ahead).await?;
                let cursor = RowCursor { partition, range, rows, next: 0, more };
                Ok((Some(cursor), PositionOf { partition: partition.get(), state }))
            }
        });
        let (cursors, positions): (Vec<_>, Vec<_>) = try_join_all(read).await?.into_iter().unzip();
        let cursors: Vec<RowCursor> = cursors.into_iter().flatten().collect();
        let heads = BinaryHeap::with_capacity(cursors.len());
        let mut page = Self { site, table, partitions, asked, way, cursors, heads, positions, rows: 0, bytes: 0 };
        (0..page.cursors.len()).for_each(|cursor| page.put_head(cursor));
        Ok(page)
    }

    fn put_head(&mut self, cursor: usize) {
        let RowCursor { rows, next, .. } = &self.cursors[cursor];
        if let Some((key, _)) = rows.get(*next) {
            self.heads.push(Reverse(Head { key: key.to_vec(), cursor }));
        }
    }

    /// Makes the next piece.
    async fn piece(mut self) -> Result<Piece, io::Error> {
        let mut json = Vec::with_capacity(PIECE + PIECE / 4);
        if self.rows == 0 {
            json.extend_from_slice(b"{\"rows\":[");
        }
        while json.len() < PIECE {
            let row = match self.heads.peek() {
                Some(Reverse(head)) if self.rows < self.asked.limit => self.row(head)?,
                _ => return Ok((self.end(json)?, None)),
            };
            if self.rows > 0 && self.bytes + row.len() > MAX_BYTES {
                return Ok((self.end(json)?, None));
            }
            if self.rows > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&row);
            self.rows += 1;
            self.bytes += row.len();
            if let Some(Reverse(Head { cursor, .. })) = self.heads.pop() {
                self.go_on(cursor).await?;
            }
        }
        // Other requests have their turn.
        tokio::task::yield_now().await;
        Ok((json.into(), Some(self)))
    }

    /// Moves a cursor to its next row. The row may have to be read first.
    async fn go_on(&mut self, number: usize) -> Result<(), io::Error> {
        let left = self.asked.limit - self.rows + 1;
        let (ahead, stale_within) = (self.asked.ahead(), self.asked.stale_within);
        let cursor = &mut self.cursors[number];
        cursor.next += 1;
        if cursor.next >= cursor.rows.len() && cursor.more {
            if let Some((last, _)) = cursor.rows.iter().next_back() {
                cursor.range.start = Bound::Excluded(last.to_vec());
            }
            let (partition, deadline) = (cursor.partition, tokio::time::Instant::now() + DEFAULT_WAIT);
            let target = Target { table: self.table, partition, wanted: Wanted::default(), deadline, stale_within };
            let found = self.site.rows(target, cursor.range.clone(), left, ahead).await;
            // Rows that were sent cannot be taken back. So the answer breaks off, and the client
            // asks again.
            let FoundRows { rows, more, .. } = found.map_err(|_| io::Error::other("a partition moved away"))?;
            (cursor.rows, cursor.next, cursor.more) = (rows, 0, more);
        }
        self.put_head(number);
        Ok(())
    }

    /// Returns the partition of the next row. In a copy, it is the home of the key, if the key
    /// decodes.
    fn partition_of(&self, head: &Head, topic_key: Option<&[u8]>) -> Option<Partition> {
        if self.asked.is_copy {
            topic_key.map(|key| self.table.home(key, self.partitions))
        } else {
            Some(self.cursors[head.cursor].partition)
        }
    }

    /// Returns a key in the form in which topics have it, if it decodes.
    fn topic_key(&self, head: &Head) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        self.table.topic_key(&head.key, &mut key).ok().map(|()| key)
    }

    /// Returns the next row in JSON.
    fn row(&self, head: &Head) -> Result<Vec<u8>, io::Error> {
        let cursor = &self.cursors[head.cursor];
        let value = cursor.rows.get(cursor.next).and_then(|(_, value)| value).unwrap_or_default();
        let partition = self.partition_of(head, self.topic_key(head).as_deref());
        Ok(serde_json::to_vec(&RowOfPage::new(self.table, &head.key, value, partition))?)
    }

    /// Adds the end of the page to `json`.
    fn end(&self, mut json: Vec<u8>) -> Result<Bytes, io::Error> {
        let is_local = self.table.keyspace() == Keyspace::PartitionLocal;
        let next = self.heads.peek().map(|Reverse(head)| {
            let topic_key = self.topic_key(head);
            let partition = self.partition_of(head, topic_key.as_deref()).filter(|_| is_local);
            (head, topic_key, partition)
        });
        let end = EndOfPage {
            next_page: next.as_ref().map(|(head, topic_key, partition)| {
                let from_partition = partition.map(|at| format!("&from_partition={at}")).unwrap_or_default();
                let (from, key) = match topic_key {
                    Some(key) => ("from", key),
                    None => ("from_stored", &head.key),
                };
                let PagePath { path, same } = &self.way;
                format!("{path}?{from}={}{from_partition}{same}", percent::encode(key))
            }),
            next_partition: next.as_ref().and_then(|(_, _, partition)| *partition).map(Partition::get),
            // A key that is not text is shown percent-encoded, as in URLs.
            next: next
                .and_then(|(_, topic_key, _)| topic_key)
                .map(|key| String::from_utf8(key).unwrap_or_else(|key| percent::encode(key.as_bytes()))),
            positions: &self.positions,
        };
        json.extend_from_slice(b"],");
        // The end continues the object that has the rows, so its opening brace is left out.
        json.extend_from_slice(serde_json::to_vec(&end)?.get(1..).unwrap_or_default());
        Ok(json.into())
    }
}

impl AskedRows {
    pub(crate) fn read(query: &Query, table: &dyn AnyTable, partitions: u32) -> Result<Self, Problem> {
        let limit = query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request(format!("`?limit={limit}`: write a number from 1 to {MAX_LIMIT}")));
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
        // A key that does not decode exists only in its stored form.
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
                    "table `{}` is global, and is answered from a copy of all its partitions; leave out ?partition=",
                    table.name()
                )));
            }
            Some(one) => vec![one],
            None => Partition::all(partitions).collect(),
        };
        let from_partition = query.partition("from_partition", u32::MAX)?;
        let (limit, stale_within) = (limit as usize, query.stale(table)?);
        Ok(Self { range, from_partition, partitions, limit, stale_within, is_copy })
    }

    /// Returns how many bytes are read ahead for each partition.
    fn ahead(&self) -> usize {
        (AHEAD / self.partitions.len().max(1)).max(AHEAD_AT_LEAST)
    }

    /// Returns the part of the range to read in a partition.
    pub(crate) fn range_in(&self, partition: Partition) -> KeyRange {
        let mut range = self.range.clone();
        if self.from_partition.is_some_and(|from| partition < from)
            && let Bound::Included(start) = range.start
        {
            range.start = Bound::Excluded(start);
        }
        range
    }
}
