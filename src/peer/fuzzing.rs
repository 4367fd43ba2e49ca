//! Fuzz targets for questions between workers.

use axum::http::StatusCode;
use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows, SlicePosition};

use super::client::read;
use super::question::{Answer, AsOf, Found, Question, Wanted};
use super::wire::{Asked, decode_answer, decode_question, encode_answer, encode_question};

/// Reads a question (`q`), an answer (`a`), or an answer after its status (`s`).
pub fn peers(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'q' => question(bytes),
        b'a' => answer(bytes),
        b's' => {
            let (status, body) = bytes.split_first_chunk::<2>()?;
            let status = StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?;
            read(status, body).ok().map(drop)
        }
        _ => None,
    }
}

/// Returns inputs that are accepted.
pub fn peers_seeds() -> Vec<Vec<u8>> {
    let range = KeyRange::prefix(b"te");
    let rows = Question::Rows { range, limit: 100, bytes: 1000 };
    let questions = [Question::Row(b"tea".to_vec()), rows, Question::Count, Question::Position];
    let mut seeds = Vec::new();
    for question in questions {
        let asked = Asked {
            table: "stock".into(),
            partition: Partition::new(300),
            generation: 1_700_000_000_000,
            wanted: Wanted { changelog: Some(7), inbox: None },
            wait: 1000,
            stale_within: Some(250),
            question,
        };
        seeds.extend(encode_question(&asked).map(|body| [b"q".as_slice(), &body].concat()));
    }
    let mut rows = Rows::new();
    rows.push(b"tea", Some(b"97"));
    rows.push(b"", Some(b""));
    let as_of = AsOf { position: SlicePosition::default(), stale: Some(std::time::Duration::from_millis(30)) };
    let found = [Found::Row(Some(b"97".to_vec())), Found::Row(None), Found::Rows { rows, more: true }, Found::Count(3)];
    for found in found.into_iter().chain([Found::Position]) {
        if let Ok(body) = encode_answer(&Answer { found, as_of }) {
            seeds.push([b"a".as_slice(), &body].concat());
            seeds.push([b"s\0\xc8".as_slice(), &body].concat());
        }
    }
    seeds
}

fn question(body: &[u8]) -> Option<()> {
    let asked = decode_question(body).ok()?;
    let again = encode_question(&asked).expect("what was read is written");
    assert_eq!(decode_question(&again).as_ref(), Ok(&asked), "what was written is read");
    Some(())
}

fn answer(body: &[u8]) -> Option<()> {
    let answer = decode_answer(body).ok()?;
    let written = encode_answer(&answer).expect("what was read is written");
    let again = decode_answer(&written).expect("what was written is read");
    assert_eq!(encode_answer(&again).as_ref(), Ok(&written));
    assert_eq!(again.as_of, answer.as_of);
    Some(())
}
