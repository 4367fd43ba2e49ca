//! The functions that fuzz the records and notes of places.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use marlowe_broker::{CommittedOffset, Offset};

use super::places::{InputPlaces, Places, place_of};
use super::positions::{GroupPosition, new_position};

/// Runs the check that the first byte chooses: `p` reads a record of a log of places, `m` merges
/// two, `g` reads the note of a group's position, and `w` writes one.
pub fn places(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'p' => record(bytes).map(drop),
        b'm' => merged(bytes),
        b'g' => note(bytes),
        b'w' => written(bytes),
        _ => None,
    }
}

/// Returns valid inputs.
pub fn places_seeds() -> Vec<Vec<u8>> {
    let input = |id: Option<&str>, at: u64| InputPlaces {
        id: id.map(Into::into),
        agents: [("count".into(), at), ("sum".into(), at + 3)].into(),
        former: [("old".into(), 1)].into(),
    };
    let places = Places { inputs: [("orders".into(), input(Some("x"), 7)), ("more".into(), input(None, 0))].into() };
    let other = Places { inputs: [("orders".into(), input(Some("x"), 5)), ("most".into(), input(None, 2))].into() };
    vec![
        [b"p".as_slice(), &places.written()].concat(),
        [b"m".as_slice(), &places.written(), b"\n", &other.written()].concat(),
        b"g\x05\0\0\0\0\0\0\0log=app-t-positions;count=7;sum=9".to_vec(),
        b"g\x05\0\0\0\0\0\0\0count=7".to_vec(),
        b"w\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0count and sum and others".to_vec(),
    ]
}

fn record(value: &[u8]) -> Option<Places> {
    let places = Places::read(value)?;
    assert_eq!(Places::read(&places.written()).as_ref(), Some(&places), "what was written is read");
    for input in places.inputs.values() {
        let least = input.least();
        assert!(input.agents.values().all(|at| least.is_some_and(|least| least.get() <= *at)));
        for (agent, at) in &input.agents {
            assert_eq!(place_of(agent, None, Some(input)), Some(Offset::new(*at)));
        }
        let mut retired = input.clone();
        retired.retire();
        assert_eq!(retired.least(), None);
    }
    Some(places)
}

/// Checks that a merge keeps the later of two places, whichever log is read first.
fn merged(lines: &[u8]) -> Option<()> {
    let middle = lines.iter().position(|byte| *byte == b'\n')?;
    let (one, other) = (record(&lines[..middle])?, record(&lines[middle + 1..])?);
    let mut merged = one.clone();
    merged.merge(other.clone());
    assert!(one.inputs.keys().chain(other.inputs.keys()).all(|topic| merged.inputs.contains_key(topic)));
    for (topic, input) in &one.inputs {
        for (agent, at) in input.agents.iter().chain(&input.former) {
            let after = &merged.inputs[topic];
            let after = after.agents.get(agent).max(after.former.get(agent));
            assert!(after >= Some(at), "a place goes back: {topic}, {agent}");
        }
    }
    let mut twice = merged.clone();
    twice.merge(merged.clone());
    assert_eq!(twice, merged, "what is known tells nothing new");
    Some(())
}

fn note(bytes: &[u8]) -> Option<()> {
    let (offset, metadata) = bytes.split_first_chunk::<8>()?;
    let metadata = std::str::from_utf8(metadata).ok()?.to_owned();
    let position =
        GroupPosition::parse(&CommittedOffset { offset: Offset::new(u64::from_le_bytes(*offset)), metadata });
    assert!(position.agents.iter().all(|(agent, at)| position.of(agent) == *at));
    for agent in position.agents.keys() {
        assert_eq!(place_of(agent, Some(&position), None), Some(position.of(agent)));
    }
    (position.log.is_some() || !position.agents.is_empty()).then_some(())
}

fn written(bytes: &[u8]) -> Option<()> {
    let drawn: Vec<(u64, &[u8])> = Unstructured::new(bytes).arbitrary().ok()?;
    // The characters of names of agents and topics.
    let name = |bytes: &[u8]| -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyz0123456789_-.";
        bytes.iter().map(|byte| letters[usize::from(*byte) % letters.len()] as char).collect()
    };
    let places: BTreeMap<String, u64> = drawn.iter().map(|(at, bytes)| (name(bytes), *at)).collect();
    let places: Vec<(&str, Offset)> = places.iter().map(|(agent, at)| (agent.as_str(), Offset::new(*at))).collect();
    let log = format!("app-{}-positions", name(drawn.first()?.1));
    let committed = new_position(&log, &places);
    let read = GroupPosition::parse(&committed);
    assert_eq!(Some(read.offset), places.iter().map(|(_, at)| *at).min());
    assert_eq!(read.log.as_deref(), Some(log.as_str()));
    // The note names all agents that are ahead, or none.
    assert!(read.agents.is_empty() || places.iter().all(|(agent, at)| read.of(agent) == *at), "{committed:?}");
    Some(())
}
