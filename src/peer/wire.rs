//! The form in which questions and answers travel.

use std::ops::Bound;
use std::time::Duration;

use axum::body::Bytes;
use marlowe_broker::{Offset, Partition};
use marlowe_state::{KeyRange, Rows, SlicePosition};
use serde::{Deserialize, Serialize};

use super::question::{Answer, AsOf, Found, Question, Wanted};

/// The path of questions on a worker's web server. The number is the version of the form of
/// questions and answers.
pub(crate) const READ_PATH: &str = "/cluster/v1/read";

/// The number of bytes of rows in one answer, at most, unless a single row has more.
pub(crate) const ROW_BYTES: usize = 16 << 20;

/// The longest time that one worker waits for another. An asker that wants to wait longer asks
/// again.
pub(crate) const WAIT_AT_MOST: Duration = Duration::from_secs(60);

/// A question on its way to the worker that has the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) table: String,
    pub(crate) partition: Partition,
    /// The group's generation at which the asked worker took the shard, as far as the asker knows.
    /// A worker that took it at an older generation has lost it.
    pub(crate) generation: u64,
    pub(crate) wanted: Wanted,
    /// The time that the worker may wait until it can answer, in milliseconds.
    pub(crate) wait: u64,
    /// The staleness up to which a standby may answer, in milliseconds. `None` if only the owner
    /// may.
    pub(crate) stale_within: Option<u64>,
    pub(crate) question: Question,
}

#[derive(Serialize, Deserialize)]
struct WireAsked<'a> {
    table: &'a str,
    partition: u32,
    generation: u64,
    changelog: Option<u64>,
    inbox: Option<u64>,
    wait: u64,
    stale_within: Option<u64>,
    question: WireQuestion<'a>,
}

#[derive(Serialize, Deserialize)]
enum WireQuestion<'a> {
    Row(&'a [u8]),
    Rows {
        #[serde(borrow)]
        start: Bound<&'a [u8]>,
        #[serde(borrow)]
        end: Bound<&'a [u8]>,
        limit: u32,
    },
    Count,
    Position,
    RowsWithin {
        #[serde(borrow)]
        start: Bound<&'a [u8]>,
        #[serde(borrow)]
        end: Bound<&'a [u8]>,
        limit: u32,
        bytes: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct WireAnswer<'a> {
    changelog: u64,
    inbox: u64,
    /// The staleness in milliseconds.
    stale: Option<u64>,
    #[serde(borrow)]
    found: WireFound<'a>,
}

#[derive(Serialize, Deserialize)]
enum WireFound<'a> {
    Row(Option<&'a [u8]>),
    Rows {
        #[serde(borrow)]
        rows: Vec<(&'a [u8], &'a [u8])>,
        more: bool,
    },
    Count(u64),
    Position,
}

pub(crate) fn encode_question(asked: &Asked) -> Result<Bytes, postcard::Error> {
    let wire = WireAsked {
        table: &asked.table,
        partition: asked.partition.get(),
        generation: asked.generation,
        changelog: asked.wanted.changelog,
        inbox: asked.wanted.inbox,
        wait: asked.wait,
        stale_within: asked.stale_within,
        question: match &asked.question {
            Question::Row(key) => WireQuestion::Row(key),
            Question::Rows { range, limit, bytes } => {
                let (start, end) = range.bounds();
                let most = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                WireQuestion::RowsWithin { start, end, limit: most(*limit), bytes: most(*bytes) }
            }
            Question::Count => WireQuestion::Count,
            Question::Position => WireQuestion::Position,
        },
    };
    postcard::to_stdvec(&wire).map(Bytes::from)
}

pub(crate) fn decode_question(body: &[u8]) -> Result<Asked, postcard::Error> {
    let wire: WireAsked<'_> = postcard::from_bytes(body)?;
    let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
    Ok(Asked {
        table: wire.table.to_owned(),
        partition: Partition::new(wire.partition),
        generation: wire.generation,
        wanted: Wanted { changelog: wire.changelog, inbox: wire.inbox },
        wait: wire.wait,
        stale_within: wire.stale_within,
        question: match wire.question {
            WireQuestion::Row(key) => Question::Row(key.to_vec()),
            // Sent by workers of earlier versions.
            WireQuestion::Rows { start, end, limit } => Question::Rows {
                range: KeyRange { start: owned(start), end: owned(end) },
                limit: limit as usize,
                bytes: ROW_BYTES,
            },
            WireQuestion::RowsWithin { start, end, limit, bytes } => Question::Rows {
                range: KeyRange { start: owned(start), end: owned(end) },
                limit: limit as usize,
                bytes: bytes as usize,
            },
            WireQuestion::Count => Question::Count,
            WireQuestion::Position => Question::Position,
        },
    })
}

/// Returns the body of an answer. Rows that would make it too large are left for the next question.
pub(crate) fn encode_answer(answer: &Answer) -> Result<Vec<u8>, postcard::Error> {
    let found = match &answer.found {
        Found::Row(row) => WireFound::Row(row.as_deref()),
        Found::Rows { rows, more } => {
            let mut bytes = 0;
            let fits = rows.iter().take_while(|(key, value)| {
                let is_first = bytes == 0;
                bytes += key.len() + value.map_or(0, <[u8]>::len) + 1;
                is_first || bytes <= ROW_BYTES
            });
            let fits: Vec<_> = fits.map(|(key, value)| (key, value.unwrap_or_default())).collect();
            WireFound::Rows { more: *more || fits.len() < rows.len(), rows: fits }
        }
        Found::Count(count) => WireFound::Count(*count),
        Found::Position => WireFound::Position,
    };
    let AsOf { position, stale } = answer.as_of;
    let wire = WireAnswer {
        changelog: position.changelog.get(),
        inbox: position.inbox.get(),
        stale: stale.map(whole_millis),
        found,
    };
    postcard::to_stdvec(&wire)
}

pub(crate) fn decode_answer(body: &[u8]) -> Result<Answer, postcard::Error> {
    let wire: WireAnswer<'_> = postcard::from_bytes(body)?;
    Ok(Answer {
        as_of: AsOf {
            position: SlicePosition {
                changelog: Offset::new(wire.changelog),
                inbox: Offset::new(wire.inbox),
                ..SlicePosition::default()
            },
            stale: wire.stale.map(Duration::from_millis),
        },
        found: match wire.found {
            WireFound::Row(row) => Found::Row(row.map(<[u8]>::to_vec)),
            WireFound::Rows { rows: found, more } => {
                let mut rows = Rows::new();
                found.into_iter().for_each(|(key, value)| rows.push(key, Some(value)));
                Found::Rows { rows, more }
            }
            WireFound::Count(count) => Found::Count(count),
            WireFound::Position => Found::Position,
        },
    })
}

/// Returns a duration in whole milliseconds. It is rounded up, because a bound on staleness must
/// not become tighter.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(answer: &Answer) -> (Vec<(Vec<u8>, usize)>, bool) {
        let Found::Rows { rows, more } = &answer.found else { panic!("no rows: {answer:?}") };
        (rows.iter().map(|(key, value)| (key.to_vec(), value.unwrap().len())).collect(), *more)
    }

    #[test]
    fn questions_arrive_as_they_were_asked() {
        let range = KeyRange { start: Bound::Excluded(vec![0, 255]), end: Bound::Unbounded };
        for question in [
            Question::Row(b"k\0y".to_vec()),
            Question::Rows { range, limit: 7, bytes: 5 << 20 },
            Question::Count,
            Question::Position,
        ] {
            let asked = Asked {
                table: "tables/ü".into(),
                partition: Partition::new(300),
                generation: u64::MAX,
                wanted: Wanted { changelog: None, inbox: Some(5) },
                wait: 10_000,
                stale_within: Some(250),
                question,
            };
            assert_eq!(decode_question(&encode_question(&asked).unwrap()).unwrap(), asked);
        }
        assert!(decode_question(b"\xff\xff").is_err());
    }

    #[test]
    fn an_answer_is_bounded_and_says_that_there_is_more() {
        let position = SlicePosition { changelog: Offset::new(9), inbox: Offset::new(3), ..SlicePosition::default() };
        let answer = |sizes: &[usize]| {
            let mut rows = Rows::new();
            for (number, size) in sizes.iter().enumerate() {
                rows.push(&[number as u8], Some(&vec![1; *size]));
            }
            let answer = Answer { as_of: AsOf { position, stale: None }, found: Found::Rows { rows, more: false } };
            let body = encode_answer(&answer).unwrap();
            let read = decode_answer(&body).unwrap();
            assert_eq!(read.as_of.position, position);
            let (rows, more) = self::rows(&read);
            (rows.len(), more)
        };
        assert_eq!(answer(&[3, 0, 1]), (3, false));
        assert_eq!(answer(&[9 << 20, 6 << 20, 2 << 20, 0]), (2, true));
        assert_eq!(answer(&[20 << 20, 1]), (1, true), "one row at least");
        for found in [Found::Row(None), Found::Row(Some(Vec::new()))] {
            let Found::Row(row) = &found else { unreachable!() };
            let as_of = AsOf { position, stale: Some(Duration::from_micros(1500)) };
            let (row, answer) = (row.clone(), Answer { as_of, found: found.clone() });
            let read = decode_answer(&encode_answer(&answer).unwrap()).unwrap();
            assert_eq!(read.as_of.stale, Some(Duration::from_millis(2)), "rounded up");
            assert!(matches!(read.found, Found::Row(read) if read == row), "no row is not an empty one");
        }
    }
}
