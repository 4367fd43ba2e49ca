//! Fuzz targets for keys and values.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Codec;
use super::json::Json;
use super::key::Key;

/// Reads a key, or a value in JSON. The first byte selects the type, and for keys the second
/// selects the form.
pub fn keys(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b's' => key::<String>(bytes),
        b'b' => key::<Vec<u8>>(bytes),
        b't' => key::<bool>(bytes),
        b'1' => key::<u8>(bytes),
        b'2' => key::<i16>(bytes),
        b'4' => key::<u32>(bytes),
        b'8' => key::<i64>(bytes),
        b'9' => key::<u64>(bytes),
        b'P' => key::<(String, u64)>(bytes),
        b'T' => key::<(Vec<u8>, i64, bool)>(bytes),
        b'N' => key::<((Vec<u8>, u8), (String, bool))>(bytes),
        b'Q' => key::<(u8, i32, String, Vec<u8>)>(bytes),
        b'O' => value::<Order>(bytes),
        b'J' => value::<Value>(bytes),
        _ => None,
    }
}

/// Returns inputs that are accepted.
pub fn keys_seeds() -> Vec<Vec<u8>> {
    fn of<K: Key>(kind: u8, keys: [&K; 2], seeds: &mut Vec<Vec<u8>>) {
        let mut topic = vec![kind, b't'];
        keys[0].encode(&mut topic);
        seeds.push(topic);
        seeds.push([[kind, b'j'].as_slice(), keys[0].to_json().to_string().as_bytes()].concat());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        keys[0].encode_ordered(&mut first);
        keys[1].encode_ordered(&mut second);
        seeds.push([&[kind, b'o', first.len() as u8], first.as_slice(), &second].concat());
    }
    let (mut seeds, text) = (Vec::new(), |text: &str| text.to_owned());
    of(b's', [&text("tea"), &text("größer")], &mut seeds);
    of(b'b', [&vec![0, 255, b'a'], &vec![0]], &mut seeds);
    of(b't', [&true, &false], &mut seeds);
    of(b'1', [&7u8, &200], &mut seeds);
    of(b'2', [&-7i16, &300], &mut seeds);
    of(b'4', [&7u32, &70_000], &mut seeds);
    of(b'8', [&i64::MIN, &1], &mut seeds);
    of(b'9', [&u64::MAX, &1], &mut seeds);
    of(b'P', [&(text("a\0b"), 7u64), &(text("a"), 8)], &mut seeds);
    of(b'T', [&(vec![255, 0], -1i64, true), &(vec![], 1, false)], &mut seeds);
    of(b'N', [&((vec![b'a'], 1u8), (text("\0"), true)), &((vec![b'a', 0], 1), (text("b"), false))], &mut seeds);
    of(b'Q', [&(1u8, -2i32, text("c"), vec![4]), &(1, -2, text("c\0"), vec![])], &mut seeds);
    seeds.push(
        br#"O{"id":18446744073709551615,"price":1.5,"note":null,"lines":{"tea":[1,-2]},"state":{"Paid":true}}"#
            .to_vec(),
    );
    seeds.push(br#"O{"id":1,"price":null,"note":"x","lines":{},"state":"New"}"#.to_vec());
    seeds.push(br#"J{"a":[1,2.5e-3,"\u00fc",null,true,{"b":{}}]}"#.to_vec());
    seeds
}

fn key<K: Key + Ord>(bytes: &[u8]) -> Option<()> {
    let (form, bytes) = bytes.split_first()?;
    match form {
        b't' => {
            let key = K::decode(bytes).ok()?;
            is_hashed_as(bytes, &key);
            has_all_forms(&key);
        }
        b'j' => {
            let json: Value = serde_json::from_slice(bytes).ok()?;
            has_all_forms(&K::from_json(&json).ok()?);
        }
        b'o' => {
            let (length, bytes) = bytes.split_first()?;
            let (first, second) = bytes.split_at_checked(usize::from(*length))?;
            let keys = [first, second].map(|bytes| {
                let key = K::decode_ordered(bytes).ok()?;
                assert_eq!(ordered(&key), bytes, "{key:?} is stored as it was");
                has_all_forms(&key);
                Some(key)
            });
            let [Some(a), Some(b)] = keys else { return None };
            assert_eq!(a.cmp(&b), first.cmp(second), "stored keys sort as keys do: {a:?}, {b:?}");
        }
        _ => return None,
    }
    Some(())
}

fn ordered<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_ordered(&mut bytes);
    bytes
}

/// Checks that the key stays the same in each of its forms.
fn has_all_forms<K: Key>(key: &K) {
    let mut topic = Vec::new();
    key.encode(&mut topic);
    assert_eq!(K::decode(&topic).as_ref(), Ok(key), "in topics");
    assert_eq!(K::decode_ordered(&ordered(key)).as_ref(), Ok(key), "in stores");
    assert_eq!(K::from_json(&key.to_json()).as_ref(), Ok(key), "in JSON");
    assert!(!K::ORDERED_AS_TOPIC || topic == ordered(key));
    is_hashed_as(&topic, key);
}

fn is_hashed_as<K: Key>(topic: &[u8], key: &K) {
    let hashers = foldhash::fast::FixedState::default();
    let mut hasher = hashers.build_hasher();
    if K::hash_topic_form(topic, &mut hasher) {
        assert_eq!(std::hash::Hasher::finish(&hasher), hashers.hash_one(key), "{key:?}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    price: Option<f64>,
    note: Option<String>,
    lines: BTreeMap<String, Vec<i16>>,
    state: OrderState,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum OrderState {
    New,
    Paid(bool),
    Sent { by: String, parts: Vec<Order> },
}

fn value<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<()> {
    let value: T = Json.decode(bytes).ok()?;
    let mut written = Vec::new();
    Json.encode(&value, &mut written).expect("what was read is written");
    assert_eq!(Json.decode(&written).as_ref(), Ok(&value), "what was written is read");
    let shown = <Json as Codec<T>>::to_json_text(&Json, &written).expect("what was written is shown");
    let mut again = Vec::new();
    <Json as Codec<T>>::encode_json_text(&Json, shown.get(), &mut again).expect("what was shown is taken");
    assert_eq!(again, written);
    Some(())
}
