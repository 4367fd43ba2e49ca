//! The headers of a request that one worker forwards to another, and of its answer.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::Caller;
use crate::cluster::SIGNED;
use crate::codec::percent;
use crate::config::Role;
use crate::web::problem::Problem;

/// Marks a request as forwarded by a worker. The value has two parts: the generation at which the
/// asked worker is said to have taken the shard, and the milliseconds for which it may wait.
const HOP: HeaderName = HeaderName::from_static("marlowe-hop");

/// The sender of a forwarded request, as the forwarding worker knows it: the role, and the name if
/// there is one.
const CALLER: HeaderName = HeaderName::from_static("marlowe-caller");

/// Marks a 421 as the answer of a worker, and not of a handler.
const MISDIRECTED: HeaderName = HeaderName::from_static("marlowe-misdirected");

/// The headers that workers add for each other.
const OF_THE_HOP: [HeaderName; 3] = [HOP, CALLER, SIGNED];

/// The headers that concern one connection only.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The step of a request from one worker to another. A request makes at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) generation: u64,
    pub(crate) wait: Duration,
}

impl Hop {
    /// Returns the hop of a request, if it was forwarded. With `is_believed` false, a forwarded
    /// request is refused: if workers share a token, the request must be
    /// [signed](crate::cluster::Signed).
    pub(crate) fn of(headers: &HeaderMap, is_believed: bool) -> Result<Option<Self>, Problem> {
        let Some(hop) = headers.get(&HOP) else { return Ok(None) };
        if !is_believed {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "only workers may forward requests, signed with this worker's cluster token (`--cluster-token`); \
                 clients leave out the header marlowe-hop",
            ));
        }
        let read = || {
            let (generation, wait) = hop.to_str().ok()?.split_once(' ')?;
            Some(Self { generation: generation.parse().ok()?, wait: Duration::from_millis(wait.parse().ok()?) })
        };
        let malformed = || Problem::bad_request("the header marlowe-hop is not understood; leave it out");
        read().map(Some).ok_or_else(malformed)
    }

    /// Marks a request as forwarded.
    pub(crate) fn say(self, headers: &mut HeaderMap) {
        let hop = format!("{} {}", self.generation, self.wait.as_millis());
        // Digits and a space are valid in a header.
        if let Ok(hop) = HeaderValue::from_str(&hop) {
            headers.insert(HOP, hop);
        }
    }
}

/// Returns the sender of a request, as the forwarding worker tells it. It may be believed only if
/// the request is [signed](crate::cluster::Signed).
pub(crate) fn caller(headers: &HeaderMap) -> Option<Caller> {
    let said = headers.get(&CALLER)?.to_str().ok()?;
    let (role, name) = said.split_once(' ').map_or((said, None), |(role, name)| (role, Some(name)));
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        _ => return None,
    };
    let name = name.map(|name| String::from_utf8_lossy(&percent::decode(name)).into());
    Some(Caller { role, name })
}

/// Adds the sender of a request that is forwarded.
pub(crate) fn say_caller(headers: &mut HeaderMap, caller: &Caller) {
    let role = match caller.role {
        Role::Read => "read",
        Role::Write => "write",
    };
    let name = caller.name.as_deref().map(|name| format!(" {}", percent::encode(name.as_bytes()))).unwrap_or_default();
    // Percent-encoded text is valid in a header.
    if let Ok(caller) = HeaderValue::from_str(&format!("{role}{name}")) {
        headers.insert(CALLER, caller);
    }
}

/// Removes the headers that workers add from a request that is answered here.
pub(crate) fn forget(headers: &mut HeaderMap) {
    for name in OF_THE_HOP {
        headers.remove(name);
    }
}

/// Returns the headers of a message that go on to the next connection.
pub(crate) fn headers(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    for name in OF_THE_CONNECTION.iter().chain(&named).chain(&OF_THE_HOP) {
        kept.remove(name);
    }
    kept
}

/// The headers that describe what is asked for, and not who asks. Without a shared token, a worker
/// forwards only these.
const HARMLESS: [HeaderName; 17] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::ORIGIN,
    header::RANGE,
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
];

/// Returns the headers of a request that go on to a worker when the workers share no token. Anybody
/// who can write to the workers topic could be that worker. So these are only the harmless headers,
/// and those that the program `named`.
pub(crate) fn harmless(headers: &HeaderMap, named: &[HeaderName]) -> HeaderMap {
    let mut kept = self::headers(headers);
    let others: Vec<HeaderName> =
        kept.keys().filter(|name| !HARMLESS.contains(name) && !named.contains(name)).cloned().collect();
    for name in others {
        kept.remove(name);
    }
    kept
}

/// Returns the answer of a worker that does not own the key.
pub(crate) fn misdirected(problem: Problem) -> Response {
    ([(MISDIRECTED, HeaderValue::from_static("1"))], problem).into_response()
}

pub(crate) fn is_misdirected(response: &Response) -> bool {
    response.status() == StatusCode::MISDIRECTED_REQUEST && response.headers().contains_key(&MISDIRECTED)
}

/// Returns an owner's answer in the form in which it goes back to the client.
pub(crate) fn answer(mut response: Response) -> Response {
    *response.headers_mut() = headers(response.headers());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(of: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        of.iter().map(pair).collect()
    }

    #[test]
    fn what_is_of_the_connection_stays_and_the_rest_goes_on() {
        let all = map(&[
            ("host", "h"),
            ("authorization", "Bearer mine"),
            ("cookie", "a=b"),
            ("connection", "keep-alive, X-Own"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("marlowe-hop", "1 1"),
            ("x-other", "2"),
        ]);
        assert_eq!(
            headers(&all),
            map(&[("host", "h"), ("authorization", "Bearer mine"), ("cookie", "a=b"), ("x-other", "2")])
        );
    }

    #[test]
    fn what_tells_of_the_user_stays_where_no_token_is_shared() {
        let all = map(&[
            ("host", "h"),
            ("accept", "text/html"),
            ("content-type", "text/plain"),
            ("authorization", "Bearer mine"),
            ("cookie", "a=b"),
            ("x-tenant", "1"),
            ("x-tenant", "2"),
            ("x-other", "3"),
            ("te", "trailers"),
        ]);
        let must = [("host", "h"), ("accept", "text/html"), ("content-type", "text/plain")];
        assert_eq!(harmless(&all, &[]), map(&must));
        let named = [HeaderName::from_static("x-tenant"), header::TE];
        let with_tenant = [&must[..], &[("x-tenant", "1"), ("x-tenant", "2")]].concat();
        assert_eq!(harmless(&all, &named), map(&with_tenant), "what is of the connection stays, whoever names it");
    }

    #[test]
    fn a_hop_and_its_caller_are_read_as_they_were_said() {
        let hop = Hop { generation: 7, wait: Duration::from_millis(1500) };
        let mut said = HeaderMap::new();
        hop.say(&mut said);
        assert_eq!(Hop::of(&said, true).unwrap(), Some(hop));
        assert!(Hop::of(&said, false).is_err());
        assert_eq!(Hop::of(&map(&[("authorization", "Bearer right")]), false).unwrap(), None);
        assert!(Hop::of(&map(&[("marlowe-hop", "1")]), true).is_err());
        assert_eq!(caller(&said), None);
        for sent in
            [Caller { role: Role::Write, name: Some("ada l\u{f6}".into()) }, Caller { role: Role::Read, name: None }]
        {
            say_caller(&mut said, &sent);
            assert_eq!(caller(&said), Some(sent));
        }
        assert!(headers(&said).is_empty(), "a client cannot say it through a worker");
        forget(&mut said);
        assert!(said.is_empty());
    }
}
