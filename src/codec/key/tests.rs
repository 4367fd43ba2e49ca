//! Tests of keys: the forms come back, sort as the keys do, and are hashed alike.

use std::hash::{BuildHasher, DefaultHasher, RandomState};

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::codec::key_too_long::KeyTooLong;
use crate::codec::topic_key::TopicKey;

fn ordered<K: Key>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_ordered(&mut bytes);
    bytes
}

fn round_trip<K: Key>(key: &K) {
    let mut topic = Vec::new();
    key.encode(&mut topic);
    assert_eq!(&K::decode(&topic).unwrap(), key);
    assert_eq!(&K::decode_ordered(&ordered(key)).unwrap(), key);
    assert!(!K::ORDERED_AS_TOPIC || topic == ordered(key));
    // The first hasher is the one of any program, the second is the one of tables.
    is_hashed_alike(key, &topic, &RandomState::new());
    is_hashed_alike(key, &topic, &foldhash::fast::RandomState::default());
}

fn is_hashed_alike<K: Key>(key: &K, topic: &[u8], hashers: &impl BuildHasher) {
    let mut hashed = hashers.build_hasher();
    if K::hash_topic_form(topic, &mut hashed) {
        assert_eq!(hashed.finish(), hashers.hash_one(key), "{key:?}");
    }
}

#[test]
fn text_bytes_and_numbers_hash_the_same_in_topic_form() {
    fn is_hashed<K: Key>(key: &K) -> bool {
        round_trip(key);
        let mut topic = Vec::new();
        key.encode(&mut topic);
        K::hash_topic_form(&topic, &mut DefaultHasher::new())
    }
    assert!(is_hashed(&"ada".to_owned()) && is_hashed(&b"ada".to_vec()) && is_hashed(&-7i32) && is_hashed(&7u64));
    assert!(!<(u8, u8)>::hash_topic_form(b"[1,2]", &mut DefaultHasher::new()));
}

proptest! {
    #[test]
    fn the_ordered_form_sorts_as_the_keys_do(
        a in any::<(String, i64, u8)>(),
        b in any::<(String, i64, u8)>(),
    ) {
        prop_assert_eq!(ordered(&a).cmp(&ordered(&b)), a.cmp(&b));
        prop_assert_eq!(ordered(&a.0).cmp(&ordered(&b.0)), a.0.cmp(&b.0));
        prop_assert_eq!(ordered(&a.1).cmp(&ordered(&b.1)), a.1.cmp(&b.1));
        round_trip(&a);
        round_trip(&a.0);
        round_trip(&a.1);
        round_trip(&(a.0.clone(), b.0.clone()));
    }

    #[test]
    fn n1_3_keys_of_bytes_and_of_tuples_come_back(
        bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(b'a'), any::<u8>()], 0..6),
        text in any::<String>(),
        number in any::<u64>(),
    ) {
        round_trip(&bytes);
        round_trip(&(bytes.clone(), text.clone()));
        round_trip(&(number, bytes.clone(), text.clone(), i64::MIN));
        round_trip(&((bytes.clone(), number), (text, bytes.clone()), true));
        let json = (bytes.clone(), number).to_json();
        prop_assert_eq!(<(Vec<u8>, u64)>::from_json(&json).unwrap(), (bytes, number));
    }
}

#[test]
fn what_is_no_tuple_of_its_types_is_no_key() {
    for json in [r#"["a"]"#, r#"["a",1,2]"#, r#"[1,"a"]"#, r#"["a","1"]"#, r#"{"a":1}"#, r#"[["a"],1]"#, "a"] {
        assert!(<(Vec<u8>, u64)>::decode(json.as_bytes()).is_err(), "{json}");
    }
    assert!(<(String, u64)>::decode(b"[12,1]").is_err() && <(String, u64)>::decode(br#"["12",1]"#).is_ok());
}

#[test]
fn n1_1_a_key_over_the_limit_is_refused_with_its_length() {
    let table: Arc<str> = "words".into();
    let mut room = b"old".to_vec();
    let key = "ü".repeat(1_000);
    assert_eq!(KeyTooLong::check(&table, &key, 2_000, &mut room), Ok(()));
    let error = KeyTooLong::check(&table, &key, 1_999, &mut room).unwrap_err();
    assert_eq!((error.len, error.limit), (2_000, 1_999));
    let text = error.to_string();
    assert!(
        text.contains("`words`") && text.contains("2000 bytes") && text.contains("\"üü") && text.len() < 400,
        "{text}"
    );
    // The limit is for the ordered form, in which each zero of a tuple takes two bytes.
    assert!(KeyTooLong::check(&table, &("\0".repeat(1_000), 1_u8), 1_999, &mut room).is_err());
    assert!(KeyTooLong::check(&table, &"\0".repeat(1_000), 1_999, &mut room).is_ok());
}

#[cfg(feature = "compact_str")]
proptest! {
    #[test]
    fn a_compact_string_has_the_forms_of_a_string(text in any::<String>()) {
        let compact = compact_str::CompactString::new(&text);
        round_trip(&compact);
        let (mut own, mut other) = (Vec::new(), Vec::new());
        compact.encode(&mut own);
        text.encode(&mut other);
        prop_assert_eq!((own, ordered(&compact), compact.to_json()), (other, ordered(&text), text.to_json()));
    }
}

#[test]
fn a_part_that_starts_another_sorts_first() {
    let keys =
        [("a".to_owned(), "z".to_owned()), ("a\0".to_owned(), "a".to_owned()), ("ab".to_owned(), "a".to_owned())];
    assert!(keys.windows(2).all(|pair| ordered(&pair[0]) < ordered(&pair[1])));
}

#[test]
fn what_is_no_text_is_no_key() {
    assert!(String::decode(&[0xff]).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn a_missing_key_says_what_to_do() {
    let error = <String as TopicKey>::decode_key(None).unwrap_err().to_string();
    assert!(error.contains("declare the topic's key as an Option"), "{error}");
}
