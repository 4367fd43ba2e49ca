//! The files with certificates and keys.

use std::path::{Path, PathBuf};

/// The files for TLS: the certificate that a worker's web server shows with its key, and the certificates of others that are trusted.
/// All are in PEM.
///
/// A worker that has a certificate speaks HTTPS alone. It trusts another worker whose certificate is its own, or one of those to
/// [trust](Self::and_trust), or is signed by one of those for the host of the URL at which that worker is found. Needs the feature
/// `tls`, which is on by default.
///
/// ```
/// use marlowe::{Config, WebTls};
///
/// let tls = WebTls::new("/etc/page-views/worker.pem", "/etc/page-views/worker.key").and_trust("/etc/page-views/ca.pem");
/// let config = Config::default().web_tls(tls);
/// ```
///
/// The files are read at the start, and again on SIGHUP; if they cannot be used then, an error is logged, and what was read before
/// stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTls {
    pub(super) server: Option<Identity>,
    pub(super) trusted: Vec<PathBuf>,
}

/// A server's certificates and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Its certificate, and after it those that lead to an authority's.
    pub(super) certificates: PathBuf,
    pub(super) key: PathBuf,
}

impl WebTls {
    /// The web server's certificate, followed in its file by those that lead to an authority's, and its private key (PKCS#8, PKCS#1 or
    /// SEC1).
    pub fn new(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let (certificates, key) = (certificates.as_ref().to_owned(), key.as_ref().to_owned());
        Self { server: Some(Identity { certificates, key }), trusted: Vec::new() }
    }

    /// No certificate of its own: for a [`Client`](crate::Client) that asks workers, and for workers behind a proxy that speaks HTTPS
    /// for them. The certificates in the file are trusted.
    pub fn trusting(certificates: impl AsRef<Path>) -> Self {
        Self { server: None, trusted: vec![certificates.as_ref().to_owned()] }
    }

    /// Returns whether the web server speaks HTTPS.
    pub(crate) fn serves(&self) -> bool {
        self.server.is_some()
    }

    /// Trusts the certificates in the file as well: servers that show one of them, and those whose certificate is signed by one of them.
    pub fn and_trust(mut self, certificates: impl AsRef<Path>) -> Self {
        self.trusted.push(certificates.as_ref().to_owned());
        self
    }
}
