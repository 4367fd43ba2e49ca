use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::Uri;

use crate::worker::RunError;

/// Where the workers of a process say that others find them.
pub(crate) enum Advertised {
    /// Where they listen.
    Bound,
    /// At this host; at this port the first one, and further ones at those that follow, or where they listen.
    At { host: String, port: Option<u16> },
}

impl Advertised {
    /// Reads `http://HOST[:PORT]`.
    pub(crate) fn parse(url: Option<&str>) -> Result<Self, RunError> {
        let Some(url) = url else { return Ok(Self::Bound) };
        let refused = |reason: &str| {
            RunError::Settings(format!(
                "`{url}` is not where other workers can find this one: {reason}; write http://HOST:PORT"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) if authority.as_str().contains('@') => Err(refused("it names a user")),
            (Some("http"), Some(authority)) if matches!(uri.path(), "" | "/") && uri.query().is_none() => {
                match authority.port_u16() {
                    Some(0) => Err(refused("port 0 is none")),
                    None if authority.as_str() != authority.host() => Err(refused("its port is none")),
                    port => Ok(Self::At { host: authority.host().to_owned(), port }),
                }
            }
            (Some("http"), Some(_)) => Err(refused("it has a path")),
            (Some("https"), _) => Err(refused("workers speak plain HTTP with each other")),
            _ => Err(refused("it names no host")),
        }
    }

    /// The host that it names.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Bound => None,
            Self::At { host, .. } => Some(host),
        }
    }

    /// The URL of worker `number`, which listens at `bound`.
    pub(crate) fn url(&self, number: usize, bound: SocketAddr) -> Result<Arc<str>, RunError> {
        let (host, port) = match self {
            Self::Bound => return Ok(format!("http://{}", reachable(bound)).into()),
            Self::At { host, port: None } => (host, bound.port()),
            Self::At { host, port: Some(first) } => {
                let port = u16::try_from(number).ok().and_then(|number| first.checked_add(number));
                (
                    host,
                    port.ok_or_else(|| {
                        RunError::Settings(format!(
                            "worker {number} would be advertised at a port beyond 65535; take a lower first port"
                        ))
                    })?,
                )
            }
        };
        Ok(format!("http://{host}:{port}").into())
    }
}

/// The address under which this machine finds a socket that listens on all of its addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => return SocketAddr::new(ip, address.port()),
    };
    tracing::warn!(
        "workers on other machines do not find this one, which listens on all addresses: say which with --advertise"
    );
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_a_url_of_its_own() -> Result<(), RunError> {
        let bound = SocketAddr::from(([0, 0, 0, 0], 7000));
        let url = |url: Option<&str>, number| Advertised::parse(url)?.url(number, bound);
        assert_eq!(&*url(None, 1)?, "http://127.0.0.1:7000");
        assert_eq!(&*url(Some("http://10.0.0.5"), 1)?, "http://10.0.0.5:7000");
        assert_eq!(&*url(Some("http://node-5:80/"), 2)?, "http://node-5:82");
        assert_eq!(&*url(Some("http://[fd00::5]:6066"), 0)?, "http://[fd00::5]:6066");
        for (wrong, why) in [
            ("https://h:1", "plain HTTP"),
            ("h:6066", "no host"),
            ("http://h:6066/x", "a path"),
            ("http://h:6066/?x", "a path"),
            ("http://a:b@h:1", "a user"),
            ("http://h:0", "port 0"),
            ("http://h:70000", "its port is none"),
            ("http://h:", "its port is none"),
            ("", "URL"),
        ] {
            let error = Advertised::parse(Some(wrong)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(why) && error.contains("http://HOST:PORT"), "{wrong}: {error}");
        }
        assert!(url(Some("http://h:65535"), 1).is_err());
        Ok(())
    }
}
