//! The host names that requests may use for a worker's web server.
//!
//! A page of another site can make its own name point to the loopback (DNS rebinding). The browser
//! then treats what is served there as part of that site. Only the `Host` header reveals this.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};

use crate::web::problem::Problem;

/// The hosts that requests may name.
pub(crate) enum Hosts {
    /// Any host. Others reach the worker, by names that it does not know.
    Any,
    /// The names of the loopback, and these.
    Loopback(Vec<String>),
}

impl Hosts {
    /// Returns the hosts of a server that listens at `address`. On the loopback these are the names
    /// of the loopback and `named`, and elsewhere all.
    pub(crate) fn of(address: SocketAddr, named: impl Iterator<Item = String>) -> Self {
        if address.ip().to_canonical().is_loopback() {
            Self::Loopback(named.map(|name| plain(&name)).collect())
        } else {
            Self::Any
        }
    }

    /// Checks the host that a request names. A request of HTTP/1.0 may name none, but browsers do
    /// not send such requests.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Problem> {
        let Self::Loopback(named) = self else { return Ok(()) };
        let said = request.headers().get_all(header::HOST).iter().map(|host| host.as_bytes());
        let said = said.chain(request.uri().authority().map(|authority| authority.as_str().as_bytes()));
        for host in said {
            let name = Authority::try_from(host).map(|authority| plain(authority.host())).unwrap_or_default();
            if !is_loopback(&name) && !named.contains(&name) {
                let host = String::from_utf8_lossy(host).into_owned();
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    format!(
                        "`{host}` is not a name of this worker, which listens on the loopback: ask it as localhost, or start it with \
                         --web-host {}",
                        if name.is_empty() { "NAME" } else { &name }
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Returns a host's name in lower case and without the final dot.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_loopback(host: &str) -> bool {
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn on_the_loopback_only_known_names_are_taken() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 6066));
        let hosts = Hosts::of(loopback, ["Worker.Example".to_owned()].into_iter());
        let takes = |hosts: &Hosts, host: &str| {
            hosts.check(&Request::builder().uri("/").header("host", host).body(Body::empty()).unwrap()).is_ok()
        };
        for own in [
            "localhost",
            "LOCALHOST:6066",
            "127.0.0.1:6066",
            "127.1.2.3",
            "[::1]:6066",
            "[::ffff:127.0.0.1]",
            "app.localhost",
            "localhost.",
            "worker.example:80",
        ] {
            assert!(takes(&hosts, own), "{own}");
        }
        for other in
            ["evil.example", "evil.example:6066", "0.0.0.0:6066", "localhost.evil.example", "10.0.0.1", "", "a b"]
        {
            assert!(!takes(&hosts, other), "{other}");
        }
        assert!(takes(&Hosts::of(SocketAddr::from(([0, 0, 0, 0], 6066)), [].into_iter()), "evil.example"));
        let absolute = Request::builder().uri("http://evil.example/").body(Body::empty()).unwrap();
        assert!(hosts.check(&absolute).is_err());
        assert!(hosts.check(&Request::builder().uri("/").body(Body::empty()).unwrap()).is_ok());
    }
}
