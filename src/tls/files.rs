//! The setting that names the files with certificates and keys. They are read in `live.rs`.

use std::path::{Path, PathBuf};

/// The files for TLS: the certificate and key of a worker's web server, and the certificates of
/// other servers that it trusts. All files are in PEM.
///
/// A worker that has a certificate speaks HTTPS only. It trusts another worker in three cases:
///
/// - The other worker has the same certificate.
/// - The certificate of the other worker is one of those to [trust](Self::and_trust).
/// - One of those signed it, for the host in the URL at which the other worker is found.
///
/// TLS needs the feature `tls`, which is on by default.
///
/// ```
/// use marlowe::Config;
/// use marlowe::config::WebTls;
///
/// let tls = WebTls::new("/etc/page-views/worker.pem", "/etc/page-views/worker.key")
///     .and_trust("/etc/page-views/ca.pem");
/// let config = Config::default().web_tls(tls);
/// ```
///
/// The files are read at the start, and again on SIGHUP. If they cannot be used then, an error is
/// logged and the certificates that were read before stay in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTls {
    pub(super) server: Option<Identity>,
    pub(super) trusted: Vec<PathBuf>,
}

/// A server's certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The file with the server's certificate, followed by the intermediate certificates up to an
    /// authority.
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
}

impl WebTls {
    /// Creates the setting of a web server with a certificate. The file `certificates` has its
    /// certificate, followed by the intermediate certificates. The file `key` has its private key
    /// (PKCS#8, PKCS#1 or SEC1).
    pub fn new(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let (certificates, key) = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        Self { server: Some(Identity { certificates, key }), trusted: Vec::new() }
    }

    /// Creates the setting without a certificate to show, only with certificates to trust. Use it
    /// for a [`Client`](crate::client::Client) that asks workers, and for workers behind a proxy
    /// that speaks HTTPS for them.
    pub fn trusting(certificates: impl AsRef<Path>) -> Self {
        Self { server: None, trusted: vec![certificates.as_ref().to_owned()] }
    }

    /// Returns whether the web server speaks HTTPS.
    pub(crate) fn serves(&self) -> bool {
        self.server.is_some()
    }

    /// Adds the certificates in the file to the trusted ones. They cover servers that show one of
    /// them, and servers whose certificate is signed by one of them.
    pub fn and_trust(mut self, certificates: impl AsRef<Path>) -> Self {
        self.trusted.push(certificates.as_ref().to_owned());
        self
    }
}
