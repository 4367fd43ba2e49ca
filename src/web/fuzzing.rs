//! The web server's inputs, for the fuzzers.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use marlowe_broker::{Clock, Partition, SystemClock, SystemEntropy, Timestamp};

use super::security::edge::is_own_page;
use super::security::{Access, Hop, Hosts, Sessions, hop};
use super::tables::Query;
use super::tables::address::{RowKey, table_name};
use super::tables::row::ShownValue;
use super::tables::rows::{AskedRows, KNOWN};
use crate::cluster::{ClusterToken, Signer, Verifier};
use crate::codec::{Bytes, Json, Text, percent};
use crate::config::{Config, WebToken};
use crate::table::{AnyTable, TableDeclaration};
use crate::topic::WrittenRecord;
use crate::topology::TableKind;

const PARTITIONS: u32 = 7;

/// Reads the input as a query, a path with a key, the headers of a request, a record, a row's value
/// or the target of a login. The first byte says which.
pub fn http(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'q' => query(std::str::from_utf8(bytes).ok()?),
        b'k' => path(std::str::from_utf8(bytes).ok()?),
        b'h' => headers(bytes),
        b'r' => record(bytes),
        b'v' => value(std::str::from_utf8(bytes).ok()?),
        b's' => stored(bytes),
        b'l' => login(std::str::from_utf8(bytes).ok()?),
        b'%' => {
            assert_eq!(percent::decode(&percent::encode(bytes)), bytes, "what is encoded decodes to itself");
            Some(())
        }
        _ => None,
    }
}

/// Returns inputs that are accepted.
pub fn http_seeds() -> Vec<Vec<u8>> {
    [
        &b"qprefix=te&from=tea&limit=10&partition=3&wait=500"[..],
        b"qfrom=%5B%22a%22%2C7%5D&from_partition=2&stale=250",
        b"qfrom=17&limit=10000",
        b"qfrom_stored=%00%FF+x&stale=0",
        b"ktext/te%20a/with/slashes%C3%BC",
        b"kpairs/%5B%22a%22%2C7%5D",
        b"knumbers/-17",
        b"hmarlowe-hop: 7 1500\nconnection: keep-alive, x-own\nx-own: 1\norigin: http://h:1\nhost: h:1",
        br#"r{"key":"tea","value":{"a":[1,null]},"timestamp":5,"partition":1,"headers":{"a":"b","c":null}}"#,
        br#"r{"key":"tea","tombstone":true}"#,
        b"v7",
        br#"v"tea""#,
        b"v[1,2,255]",
        b"hmarlowe-hop: 7 1500\nmarlowe-caller: write ad%61\ncookie: a=b; marlowe-app=1800000001.00\nhost: [::1]:6066",
        b"hmarlowe-signed: 1800000000000 AAAAAAAAAAAAAAAAAAAAAA 0 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AAAA\nmarlowe-hop: 7 1500",
        b"l/tables?x",
        b"s97",
        b"s\xff\xfe",
        b"%te a/\xff",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

static TABLES: LazyLock<Vec<Box<dyn AnyTable>>> = LazyLock::new(|| {
    vec![
        Box::new(TableDeclaration::<String, i64>::new("app", "text", TableKind::Table, Json)),
        Box::new(TableDeclaration::<Vec<u8>, String>::new("app", "bytes", TableKind::Global, Text)),
        Box::new(TableDeclaration::<i64, Vec<u8>>::new("app", "numbers", TableKind::Table, Bytes)),
        Box::new(TableDeclaration::<(String, u64), serde_json::Value>::new("app", "pairs", TableKind::Table, Json)),
        Box::new(TableDeclaration::<bool, Option<f64>>::new("app", "flags", TableKind::Global, Json)),
    ]
});

/// Reads the query of a page of rows.
fn query(text: &str) -> Option<()> {
    let query = Query::parse(Some(text), &KNOWN).ok()?;
    let said: Vec<(&str, &[u8])> = KNOWN.iter().filter_map(|name| Some((*name, query.bytes(name)?))).collect();
    let link: Vec<String> = said.iter().map(|(name, value)| format!("{name}={}", percent::encode(value))).collect();
    let again = Query::parse(Some(&link.join("&")), &KNOWN).expect("a link to a page is a query");
    assert!(KNOWN.iter().all(|name| again.bytes(name) == query.bytes(name)), "a link says what was said");
    let mut taken = None;
    for table in TABLES.iter() {
        if let Ok(asked) = AskedRows::read(&query, &**table, PARTITIONS)
            && query.deadline().is_ok()
        {
            Partition::all(PARTITIONS).for_each(|partition| drop(asked.range_in(partition)));
            taken = Some(());
        }
    }
    taken
}

/// Reads a row's path.
fn path(text: &str) -> Option<()> {
    let uri: Uri = format!("/tables/{text}").parse().ok()?;
    let name = table_name(&uri);
    assert_eq!(table_name(&format!("/tables/{}/x", percent::encode(name.as_bytes())).parse().ok()?), name);
    let mut taken = None;
    for table in TABLES.iter() {
        let Ok(key) = RowKey::in_path(&**table, &uri) else { continue };
        let own: Uri = format!("/tables/t/{}", percent::encode(&key.topic)).parse().expect("a key has a path");
        let again = RowKey::in_path(&**table, &own).expect("a key's own path is read");
        assert_eq!((&again.ordered, &again.topic, &again.json), (&key.ordered, &key.topic, &key.json));
        assert!(key.home(&**table, PARTITIONS) < Partition::new(PARTITIONS));
        taken = Some(());
    }
    taken
}

/// Reads the lines of a request's head.
fn headers(lines: &[u8]) -> Option<()> {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or_default();
        headers.append(name, HeaderValue::from_bytes(value).ok()?);
    }
    is_own_page(&headers);
    let access = Access::new(&Config::default().web_token(WebToken::read("sesame").named("ada")));
    let now = Timestamp::from_millis(1_800_000_000_000);
    assert_eq!(Sessions::new("app", false).caller(&access, &headers, now), None, "nobody guesses a signature");
    if let Some(caller) = hop::caller(&headers) {
        let mut said = HeaderMap::new();
        hop::say_caller(&mut said, &caller);
        assert_eq!(hop::caller(&said), Some(caller), "a caller is understood");
    }
    signature(&headers);
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers.clone();
    let loopback = Hosts::of(([127, 0, 0, 1], 6066).into(), std::iter::once("worker.example".to_owned()));
    if loopback.check(&request).is_ok() {
        for host in headers.get_all(header::HOST) {
            let host = host.to_str().expect("a name is text").to_ascii_lowercase();
            assert!(["localhost", "127.", "[", "worker.example"].iter().any(|own| host.contains(own)), "{host}");
        }
    }
    let kept = hop::headers(&headers);
    assert_eq!(hop::headers(&kept), kept, "what goes on goes on");
    assert_eq!(Hop::of(&kept, true).ok(), Some(None), "a hop does not");
    let hop = Hop::of(&headers, true).ok()??;
    let mut said = HeaderMap::new();
    hop.say(&mut said);
    assert_eq!(Hop::of(&said, true).ok(), Some(Some(hop)), "a hop is understood");
    Some(())
}

/// Checks that a signature cannot be guessed, and that a real one is accepted.
fn signature(headers: &HeaderMap) {
    let (token, clock): (ClusterToken, Arc<dyn Clock>) = ("sesame".into(), Arc::new(SystemClock));
    let signer = Signer { token: token.clone(), clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
    let verifier = Verifier::new(token, clock, "http://h:1".into());
    let (method, uri) = (Method::GET, Uri::from_static("/pages/a?b"));
    let guessed = verifier.look(&method, &uri, headers);
    assert!(!matches!(guessed, Ok(Some(_))), "nobody guesses a signature");
    let mut request = axum::http::Request::new(axum::body::Bytes::from_static(b"body"));
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers.clone();
    signer.sign("http://h:1", &mut request);
    let known = verifier.look(&method, &uri, request.headers());
    assert!(matches!(known, Ok(Some(_))), "a signature is known again");
}

/// Checks that a login leads to a page of this server.
fn login(to: &str) -> Option<()> {
    let to = super::security::login_page::local(to);
    assert!(to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\r', '\n', '\t']), "{to:?}");
    Some(())
}

/// Reads a record that is sent to a topic.
fn record(body: &[u8]) -> Option<()> {
    let record: WrittenRecord = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_string(&record).expect("what was read is written");
    let again: WrittenRecord = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(again.key, record.key);
    assert_eq!(serde_json::to_string(&again).ok(), Some(written));
    Some(())
}

/// Reads the new value of a row.
fn value(json: &str) -> Option<()> {
    let mut taken = None;
    for table in TABLES.iter() {
        let Ok(bytes) = table.value_from_json(json) else { continue };
        table.check_value(&bytes).expect("what is taken decodes");
        let shown = table.value_json(&bytes).expect("what is taken is shown");
        assert_eq!(table.value_from_json(shown.get()), Ok(bytes), "what is shown is taken");
        taken = Some(());
    }
    taken
}

/// Reads the stored value of a row, which anybody may have written.
fn stored(bytes: &[u8]) -> Option<()> {
    let shown = TABLES.iter().filter(|table| ShownValue::of(&***table, bytes).is_ok()).count();
    (shown > 0).then_some(())
}
