use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::{Caller, Role};
use super::percent;
use super::problem::Problem;
use crate::cluster::ClusterToken;

/// Says that a worker forwarded the request: the generation at which it believes that the asked worker took the shard, and for
/// how many milliseconds it may wait.
const HOP: HeaderName = HeaderName::from_static("marlowe-hop");

/// The token of a forwarded request. `Authorization` is the user's own.
const TOKEN: HeaderName = HeaderName::from_static("marlowe-cluster-token");

/// Who sent a forwarded request, as the worker knows that forwarded it: its role, and its name if it has one.
const CALLER: HeaderName = HeaderName::from_static("marlowe-caller");

/// Says that a 421 is a worker's and not a handler's.
const MISDIRECTED: HeaderName = HeaderName::from_static("marlowe-misdirected");

/// Headers that are about one connection only.
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

/// A request's way from one worker to another. There is no second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) generation: u64,
    pub(crate) wait: Duration,
}

impl Hop {
    /// The hop that a request has made, if any. Where workers share a token, only one that says it is believed.
    pub(crate) fn of(headers: &HeaderMap, token: Option<&ClusterToken>) -> Result<Option<Self>, Problem> {
        let Some(hop) = headers.get(&HOP) else { return Ok(None) };
        if token.is_some_and(|token| !token.is_in(headers.get(&TOKEN))) {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "only workers that share the cluster token may forward requests; leave out the header marlowe-hop",
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
    pub(crate) fn say(self, headers: &mut HeaderMap, token: Option<&ClusterToken>) {
        let hop = format!("{} {}", self.generation, self.wait.as_millis());
        // Digits and a blank fit into a header.
        if let Ok(hop) = HeaderValue::from_str(&hop) {
            headers.insert(HOP, hop);
        }
        if let Some(bearer) = token.and_then(ClusterToken::bearer) {
            headers.insert(TOKEN, bearer);
        }
    }
}

/// Whether a request says the workers' secret, and so was forwarded by one of them.
pub(crate) fn says(headers: &HeaderMap, token: &ClusterToken) -> bool {
    headers.contains_key(&HOP) && token.is_in(headers.get(&TOKEN))
}

/// Returns who sent a request, as the worker says that forwarded it. Only who [says](says) the secret is to be believed.
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

/// Says who sent a request that is forwarded.
pub(crate) fn say_caller(headers: &mut HeaderMap, caller: &Caller) {
    let role = match caller.role {
        Role::Read => "read",
        Role::Write => "write",
    };
    let name = caller.name.as_deref().map(|name| format!(" {}", percent::encode(name.as_bytes()))).unwrap_or_default();
    // What is percent-encoded fits into a header.
    if let Ok(caller) = HeaderValue::from_str(&format!("{role}{name}")) {
        headers.insert(CALLER, caller);
    }
}

/// Takes the marks of the hop from a request that is answered here.
pub(crate) fn forget(headers: &mut HeaderMap) {
    headers.remove(&HOP);
    headers.remove(&TOKEN);
    headers.remove(&CALLER);
}

/// What of a message's headers goes on to the next connection.
pub(crate) fn headers(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    for name in OF_THE_CONNECTION.iter().chain(&named).chain([&HOP, &TOKEN, &CALLER]) {
        kept.remove(name);
    }
    kept
}

/// The answer of a worker that does not own the key.
pub(crate) fn misdirected(problem: Problem) -> Response {
    ([(MISDIRECTED, HeaderValue::from_static("1"))], problem).into_response()
}

pub(crate) fn is_misdirected(response: &Response) -> bool {
    response.status() == StatusCode::MISDIRECTED_REQUEST && response.headers().contains_key(&MISDIRECTED)
}

/// An owner's answer, as it is handed back.
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
    fn a_hop_is_believed_where_the_token_is_said() {
        let hop = Hop { generation: 7, wait: Duration::from_millis(1500) };
        let (right, wrong) = (ClusterToken::from("right"), ClusterToken::from("wrong"));
        let mut said = HeaderMap::new();
        hop.say(&mut said, Some(&right));
        assert_eq!(Hop::of(&said, Some(&right)).unwrap(), Some(hop));
        assert!(Hop::of(&said, Some(&wrong)).is_err());
        assert_eq!(Hop::of(&said, None).unwrap(), Some(hop));
        assert_eq!(Hop::of(&map(&[("authorization", "Bearer right")]), Some(&right)).unwrap(), None);
        assert!(Hop::of(&map(&[("marlowe-hop", "1")]), None).is_err());
        assert!(Hop::of(&map(&[("marlowe-hop", "7 1500")]), Some(&right)).is_err());
        assert!(says(&said, &right) && !says(&said, &wrong));
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
