//! Requests from one worker to another, signed with the secret that the workers of an app share.
//!
//! The header `marlowe-signed` has five fields, separated by blanks:
//!
//! 1. the time of the signature, in milliseconds since 1970
//! 2. a nonce, which no other request has
//! 3. the length of the body in bytes
//! 4. the SHA-256 of the body
//! 5. an HMAC over the fields before, the method, the path with its query, the URL of the worker
//!    that is asked, and every header that workers rely on
//!
//! The secret itself never travels. A request that somebody has overheard is useless to them: it is
//! valid for this one worker only, it is accepted once, and only within 30 seconds of its time.
//!
//! ```text
//!  Signer::sign    as the last step before sending
//!  Verifier::look  before anything else: the HMAC, then the time, then the nonce
//!  Signed::read    before any route runs: the body's length and digest
//! ```
//!
//! The body is checked last because the head can be checked, and the request refused, before the
//! body has arrived. The nonces of the last minute are kept, because a signature can be valid for
//! that long: it may have been made by a clock that is 30 seconds ahead.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http_body_util::{BodyExt, Limited};
use marlowe_broker::{Clock, Entropy, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::token::ClusterToken;

/// The header with a request's signature.
pub(crate) const SIGNED: HeaderName = HeaderName::from_static("marlowe-signed");

/// The prefix of the headers that workers rely on. The only other one is the content type.
const OF_WORKERS: &str = "marlowe-";

/// The largest difference between the clock of the worker that signs and the clock of the worker
/// that is asked. It includes the time that the request travels.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// The time for which an accepted request is remembered. Its signature may be from a clock that is
/// ahead.
const REMEMBERED: Duration = GOOD_FOR.saturating_mul(2);

const PURPOSE: &str = "marlowe request";

type Nonce = [u8; 16];

/// Signs requests to other workers.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) token: ClusterToken,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Signer {
    /// Signs a request to the worker at `url`. This must be the last step before it is sent.
    pub(crate) fn sign(&self, url: &str, request: &mut axum::http::Request<Bytes>) {
        let mut nonce = Nonce::default();
        nonce[..8].copy_from_slice(&self.entropy.next().to_be_bytes());
        nonce[8..].copy_from_slice(&self.entropy.next().to_be_bytes());
        let stamp = Stamp { time: self.clock.now(), nonce, body: BodyDigest::of(request.body()) };
        let mac = with_parts(url, request.method(), request.uri(), request.headers(), &stamp, |parts| {
            self.token.sign(PURPOSE, parts)
        });
        // Digits, blanks and base64 are valid in a header.
        if let Ok(value) = HeaderValue::from_str(&format!("{stamp} {}", BASE64.encode(mac))) {
            request.headers_mut().insert(SIGNED, value);
        }
    }
}

/// Checks requests that other workers signed for this one.
pub(crate) struct Verifier {
    pub(crate) token: ClusterToken,
    clock: Arc<dyn Clock>,
    /// The URL at which other workers find this one.
    url: Arc<str>,
    taken: Mutex<AcceptedNonces>,
}

/// The mark of a request that another worker signed. It is in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed {
    body: BodyDigest,
}

/// The reason why a request is not accepted as another worker's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error("the header marlowe-signed is not understood: run the same version of Marlowe on all workers")]
    Malformed,
    #[error(
        "the request is not signed with this worker's cluster token, or it is signed for another URL than {url}: give \
         all workers of the app the same --cluster-token, and each its own --advertise"
    )]
    Otherwise { url: Arc<str> },
    #[error(
        "the request was signed {millis} ms {} the time of this worker's clock, and is valid for {GOOD_FOR:?}: \
         synchronize the clocks of the app's workers",
        if *is_late { "before" } else { "after" }
    )]
    OutOfTime { millis: u64, is_late: bool },
    #[error("the same signed request was received before: sign each request on its own")]
    Repeated,
    #[error("the request's body is not the one that was signed")]
    OtherBody,
}

impl Verifier {
    pub(crate) fn new(token: ClusterToken, clock: Arc<dyn Clock>, url: Arc<str>) -> Self {
        let taken = AcceptedNonces { newer: HashSet::new(), older: HashSet::new(), turned: clock.now() };
        Self { token, clock, url, taken: Mutex::new(taken) }
    }

    /// Checks the head of a request. Returns `None` if the request is not signed. Its body must be
    /// [read](Signed::read) before the request takes effect.
    pub(crate) fn look(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Option<Signed>, NotSigned> {
        let Some(header) = headers.get(&SIGNED) else { return Ok(None) };
        let (stamp, mac) = Stamp::parse(header).ok_or(NotSigned::Malformed)?;
        let is_signed =
            with_parts(&self.url, method, uri, headers, &stamp, |parts| self.token.has_signed(PURPOSE, parts, &mac));
        if !is_signed {
            return Err(NotSigned::Otherwise { url: self.url.clone() });
        }
        let now = self.clock.now();
        let millis = now.millis().abs_diff(stamp.time.millis());
        if u128::from(millis) > GOOD_FOR.as_millis() {
            return Err(NotSigned::OutOfTime { millis, is_late: stamp.time < now });
        }
        if !self.taken.lock().take(stamp.nonce, now) {
            return Err(NotSigned::Repeated);
        }
        Ok(Some(Signed { body: stamp.body }))
    }
}

impl Signed {
    /// Reads a request's body and checks that it is the signed one.
    pub(crate) async fn read(self, body: Body) -> Result<Bytes, NotSigned> {
        let length = usize::try_from(self.body.length).map_err(|_| NotSigned::OtherBody)?;
        let body = Limited::new(body, length).collect().await.map_err(|_| NotSigned::OtherBody)?.to_bytes();
        if BodyDigest::of(&body) == self.body { Ok(body) } else { Err(NotSigned::OtherBody) }
    }
}

/// The nonces of requests that were accepted lately. Only requests of workers that know the token
/// are among them.
struct AcceptedNonces {
    newer: HashSet<Nonce>,
    older: HashSet<Nonce>,
    /// The time at which the newer nonces became the older ones.
    turned: Timestamp,
}

impl AcceptedNonces {
    /// Records a request. Returns `true` if it is the first with this nonce.
    fn take(&mut self, nonce: Nonce, now: Timestamp) -> bool {
        let since = now.millis().saturating_sub(self.turned.millis());
        if since < 0 {
            // The clock was set back.
            self.turned = now;
        } else if since.unsigned_abs() as u128 >= REMEMBERED.as_millis() {
            self.older = std::mem::take(&mut self.newer);
            self.turned = now;
        }
        !self.older.contains(&nonce) && self.newer.insert(nonce)
    }
}

/// The part of a signature that is not part of the request itself.
struct Stamp {
    time: Timestamp,
    nonce: Nonce,
    body: BodyDigest,
}

impl Stamp {
    /// Reads a header. Returns the stamp and the MAC that follows it.
    fn parse(header: &HeaderValue) -> Option<(Self, Vec<u8>)> {
        let mut fields = header.to_str().ok()?.split(' ');
        let mut next = || fields.next();
        let time = Timestamp::from_millis(next()?.parse().ok()?);
        let nonce = BASE64.decode(next()?).ok()?.try_into().ok()?;
        let length = next()?.parse().ok()?;
        let sha256 = BASE64.decode(next()?).ok()?.try_into().ok()?;
        let mac = BASE64.decode(next()?).ok()?;
        next().is_none().then_some((Self { time, nonce, body: BodyDigest { length, sha256 } }, mac))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nonce, sha256) = (BASE64.encode(self.nonce), BASE64.encode(self.body.sha256));
        write!(f, "{} {nonce} {} {sha256}", self.time.millis(), self.body.length)
    }
}

/// The length and the digest of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BodyDigest {
    length: u64,
    sha256: [u8; 32],
}

impl BodyDigest {
    fn of(body: &[u8]) -> Self {
        Self { length: body.len() as u64, sha256: Sha256::digest(body).into() }
    }
}

/// Passes the parts that are signed to `then`: everything in the request that a worker relies on,
/// in a fixed order.
fn with_parts<T>(
    url: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    stamp: &Stamp,
    then: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let stamp = stamp.to_string();
    let mut names: Vec<&HeaderName> = headers
        .keys()
        .filter(|name| **name == header::CONTENT_TYPE || name.as_str().starts_with(OF_WORKERS) && **name != SIGNED)
        .collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut parts = vec![url.as_bytes(), method.as_str().as_bytes(), path.as_bytes(), stamp.as_bytes()];
    for name in names {
        for value in headers.get_all(name) {
            parts.extend([name.as_str().as_bytes(), value.as_bytes()]);
        }
    }
    then(&parts)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::http::Request;

    use super::*;
    use crate::test_clock::SetClock;

    struct Counted(AtomicU64);

    impl Entropy for Counted {
        fn next(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }

    const URL: &str = "http://10.0.0.5:6066";

    struct Pair {
        clock: Arc<SetClock>,
        signer: Signer,
        verifier: Verifier,
    }

    impl Pair {
        fn new(signs: &str, knows: &str) -> Self {
            let clock = Arc::new(SetClock::new(Timestamp::from_millis(1_800_000_000_000)));
            let entropy = Arc::new(Counted(AtomicU64::new(0)));
            let signer = Signer { token: signs.into(), clock: clock.clone(), entropy };
            let verifier = Verifier::new(knows.into(), clock.clone(), URL.into());
            Self { clock, signer, verifier }
        }

        fn signed(&self) -> Request<Bytes> {
            let mut request = Request::put(format!("{URL}/pages/a?b=%20c"))
                .header("marlowe-hop", "7 1500")
                .header("content-type", "text/plain")
                .header("cookie", "a=b")
                .body(Bytes::from_static(b"body"))
                .unwrap();
            self.signer.sign(URL, &mut request);
            request
        }

        fn look(&self, request: &Request<Bytes>) -> Result<Option<Signed>, NotSigned> {
            self.verifier.look(request.method(), request.uri(), request.headers())
        }

        fn pass(&self, millis: i64) {
            self.clock.set(Timestamp::from_millis(self.clock.now().millis() + millis));
        }
    }

    #[tokio::test]
    async fn a_signed_request_is_taken_once_with_its_own_body() {
        let pair = Pair::new("sesame", "sesame");
        let request = pair.signed();
        assert!(!format!("{request:?}").contains("sesame"));
        let signed = pair.look(&request).unwrap().unwrap();
        assert_eq!(signed.read(Body::from("body")).await.as_deref(), Ok(&b"body"[..]));
        for other in ["bodY", "body ", "bod", ""] {
            assert_eq!(signed.read(Body::from(other)).await, Err(NotSigned::OtherBody), "{other}");
        }
        assert_eq!(pair.look(&request).err(), Some(NotSigned::Repeated));
        assert!(pair.look(&pair.signed()).unwrap().is_some());
        let unsigned = Request::get("/").body(Bytes::new()).unwrap();
        assert!(pair.look(&unsigned).unwrap().is_none());
    }

    #[test]
    fn a_request_that_was_changed_is_not_signed() {
        type RequestChange = fn(&mut Request<Bytes>);
        let pair = Pair::new("sesame", "sesame");
        let changes: [(&str, RequestChange); 8] = [
            ("method", |request| *request.method_mut() = Method::DELETE),
            ("path", |request| *request.uri_mut() = "/pages/b?b=%20c".parse().unwrap()),
            ("query", |request| *request.uri_mut() = "/pages/a?b=%20d".parse().unwrap()),
            ("hop", |request| drop(request.headers_mut().insert("marlowe-hop", HeaderValue::from_static("8 1500")))),
            ("no hop", |request| drop(request.headers_mut().remove("marlowe-hop"))),
            ("two", |request| assert!(request.headers_mut().append("marlowe-hop", HeaderValue::from_static("7 1500")))),
            ("caller", |request| {
                drop(request.headers_mut().insert("marlowe-caller", HeaderValue::from_static("write")))
            }),
            ("type", |request| drop(request.headers_mut().remove("content-type"))),
        ];
        for (what, change) in changes {
            let mut request = pair.signed();
            change(&mut request);
            assert_eq!(pair.look(&request).err(), Some(NotSigned::Otherwise { url: URL.into() }), "{what}");
        }
        // A header that no worker relies on may change on the way.
        let mut request = pair.signed();
        request.headers_mut().insert("via", HeaderValue::from_static("1.1 proxy"));
        assert!(pair.look(&request).is_ok());
        let (other, elsewhere) = (
            Pair::new("other", "sesame"),
            Verifier::new("sesame".into(), pair.clock.clone(), "http://10.0.0.6:6066".into()),
        );
        assert!(matches!(other.look(&other.signed()), Err(NotSigned::Otherwise { .. })));
        let request = pair.signed();
        let taken = elsewhere.look(request.method(), request.uri(), request.headers());
        assert!(matches!(taken, Err(NotSigned::Otherwise { .. })), "it is for another worker");
    }

    #[test]
    fn a_field_that_is_wrong_or_missing_is_no_signature() {
        let pair = Pair::new("sesame", "sesame");
        let request = pair.signed();
        let text = request.headers()[&SIGNED].to_str().unwrap().to_owned();
        let fields: Vec<&str> = text.split(' ').collect();
        let mut wrong = vec![String::new(), "x".into(), format!("{text} "), format!(" {text}"), text.replace(' ', "")];
        for at in 0..fields.len() {
            let without = fields.iter().enumerate().filter(|(field, _)| *field != at).map(|(_, field)| *field);
            wrong.push(without.collect::<Vec<_>>().join(" "));
            let other = fields.iter().enumerate().map(|(field, text)| if field == at { "1" } else { text });
            wrong.push(other.collect::<Vec<_>>().join(" "));
        }
        for text in wrong {
            let mut request = pair.signed();
            request.headers_mut().insert(SIGNED, HeaderValue::from_str(&text).unwrap());
            assert!(pair.look(&request).is_err(), "{text}");
        }
        assert!(pair.look(&request).is_ok());
    }

    #[test]
    fn a_signature_is_good_for_half_a_minute_before_and_after() {
        let pair = Pair::new("sesame", "sesame");
        for (passes, is_late) in [(30_001, true), (-30_001, false)] {
            let request = pair.signed();
            pair.pass(passes);
            let error = pair.look(&request).err();
            assert_eq!(error, Some(NotSigned::OutOfTime { millis: 30_001, is_late }));
            assert!(error.unwrap().to_string().contains("clocks"));
            pair.pass(if is_late { -1 } else { 1 });
            assert!(pair.look(&request).is_ok());
            assert_eq!(pair.look(&request).err(), Some(NotSigned::Repeated));
        }
    }

    #[test]
    fn a_request_is_remembered_while_its_signature_is_valid() {
        let pair = Pair::new("sesame", "sesame");
        let early = pair.signed();
        pair.pass(-30_000);
        assert!(pair.look(&early).is_ok(), "signed by a clock that is ahead");
        for _ in 0..59 {
            pair.pass(1000);
            assert!(pair.look(&pair.signed()).is_ok());
            assert_eq!(pair.look(&early).err(), Some(NotSigned::Repeated));
        }
        for _ in 0..600 {
            pair.pass(1000);
            assert!(pair.look(&pair.signed()).is_ok());
        }
        let taken = pair.verifier.taken.lock();
        assert!(taken.newer.len() + taken.older.len() <= 2 * 60, "{} {}", taken.newer.len(), taken.older.len());
    }
}
