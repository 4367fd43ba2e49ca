//! The URLs at which workers tell other workers to find them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::Uri;

use crate::error::RunError;
use crate::tls::Tls;

/// The host and the port of the advertised URLs.
enum AdvertisedAddress {
    /// The address at which each worker listens.
    Bound,
    /// This host. The first worker is at `port`, and further ones are at the ports that follow.
    /// Without `port`, each is at the port where it listens.
    At { host: String, port: Option<u16> },
}

/// The URLs at which other workers find those of this process.
pub(crate) struct Advertised {
    scheme: &'static str,
    address: AdvertisedAddress,
}

impl Advertised {
    /// Parses `http://HOST[:PORT]`, or `https://HOST[:PORT]` if the workers speak TLS.
    pub(crate) fn parse(url: Option<&str>, tls: Option<&Tls>) -> Result<Self, RunError> {
        let serves = tls.is_some_and(Tls::serves);
        let Some(url) = url else {
            return Ok(Self { scheme: if serves { "https" } else { "http" }, address: AdvertisedAddress::Bound });
        };
        let refused = |reason: &str| {
            let scheme = if serves { "https" } else { "http" };
            RunError::Settings(format!(
                "`{url}` cannot be advertised to other workers: {reason}; write {scheme}://HOST:PORT"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
        let (scheme, authority) = match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) if serves => {
                return Err(refused("the web server has a certificate, and speaks HTTPS"));
            }
            (Some("https"), _) if tls.is_none() => {
                return Err(refused(
                    "workers without certificates (--web-tls-cert, --web-tls-ca) speak plain HTTP with each other",
                ));
            }
            (Some("http"), Some(authority)) => ("http", authority),
            (Some("https"), Some(authority)) => ("https", authority),
            _ => return Err(refused("it has no host")),
        };
        if authority.as_str().contains('@') {
            return Err(refused("it has a user"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refused("it has a path"));
        }
        match authority.port_u16() {
            Some(0) => Err(refused("port 0 is not allowed")),
            None if authority.as_str() != authority.host() => Err(refused("its port is not a number from 1 to 65535")),
            port => Ok(Self { scheme, address: AdvertisedAddress::At { host: authority.host().to_owned(), port } }),
        }
    }

    /// Returns the host that was set, if one was.
    pub(crate) fn host(&self) -> Option<&str> {
        match &self.address {
            AdvertisedAddress::Bound => None,
            AdvertisedAddress::At { host, .. } => Some(host),
        }
    }

    /// Returns the URL of worker `number`, which listens at `bound`.
    pub(crate) fn url(&self, number: usize, bound: SocketAddr) -> Result<Arc<str>, RunError> {
        let scheme = self.scheme;
        let (host, port) = match &self.address {
            AdvertisedAddress::Bound => return Ok(format!("{scheme}://{}", reachable(bound)).into()),
            AdvertisedAddress::At { host, port: None } => (host, bound.port()),
            AdvertisedAddress::At { host, port: Some(first) } => {
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
        Ok(format!("{scheme}://{host}:{port}").into())
    }
}

/// Returns the address at which this machine reaches a socket. A socket on all addresses is reached
/// on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => return SocketAddr::new(ip, address.port()),
    };
    tracing::warn!(
        "workers on other machines cannot find this one, because it listens on all addresses: give its own URL with \
         --advertise"
    );
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_a_url_of_its_own() -> Result<(), RunError> {
        let bound = SocketAddr::from(([0, 0, 0, 0], 7000));
        let url = |url: Option<&str>, number| Advertised::parse(url, None)?.url(number, bound);
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
            ("http://h:70000", "its port is not a number from 1 to 65535"),
            ("http://h:", "its port is not a number from 1 to 65535"),
            ("", "URL"),
        ] {
            let error = Advertised::parse(Some(wrong), None).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(why) && error.contains("http://HOST:PORT"), "{wrong}: {error}");
        }
        assert!(url(Some("http://h:65535"), 1).is_err());
        Ok(())
    }

    /// Tests a proxy that speaks HTTPS for a worker without a certificate. Other workers trust the
    /// certificate of the proxy.
    #[cfg(feature = "tls")]
    #[test]
    fn a_worker_behind_a_proxy_is_found_over_https() -> Result<(), Box<dyn std::error::Error>> {
        use crate::tls::WebTls;

        let folder = tempfile::tempdir()?;
        let file = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["h".to_owned()])?;
        std::fs::write(file("h.pem"), made.cert.pem())?;
        std::fs::write(file("h.key"), made.signing_key.serialize_pem())?;
        let bound = SocketAddr::from(([127, 0, 0, 1], 7000));
        let trusting = Tls::load(&WebTls::trusting(file("h.pem")))?;
        assert_eq!(&*Advertised::parse(Some("https://h:443"), Some(&trusting))?.url(0, bound)?, "https://h:443");
        assert_eq!(&*Advertised::parse(None, Some(&trusting))?.url(0, bound)?, "http://127.0.0.1:7000");
        let serving = Tls::load(&WebTls::new(file("h.pem"), file("h.key")))?;
        assert_eq!(&*Advertised::parse(None, Some(&serving))?.url(0, bound)?, "https://127.0.0.1:7000");
        assert!(Advertised::parse(Some("http://h:80"), Some(&serving)).is_err());
        Ok(())
    }
}
