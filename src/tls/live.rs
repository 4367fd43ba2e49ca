//! The certificates in use: those that were read last.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::files::{Identity, WebTls};
use super::hangups::Hangups;
use super::trust::Trust;
use crate::error::RunError;

/// The certificates of a process, as they were read last.
pub(crate) struct Tls {
    files: WebTls,
    live: RwLock<Live>,
}

struct Live {
    /// The settings of the server's connections, if it has a certificate to show.
    server: Option<Arc<ServerConfig>>,
    trust: Arc<Trust>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file cannot be read, has no certificate or key, or the key does not belong to the
    /// certificate.
    pub(crate) fn load(files: &WebTls) -> Result<Arc<Self>, RunError> {
        let live = RwLock::new(Live::read(files).map_err(RunError::Settings)?);
        Ok(Arc::new(Self { files: files.clone(), live }))
    }

    /// Returns whether the web server speaks HTTPS.
    pub(crate) fn serves(&self) -> bool {
        self.files.server.is_some()
    }

    /// Returns the acceptor of handshakes with clients, with the certificate that was read last.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.live.read().server.clone().map(TlsAcceptor::from)
    }

    /// Returns the trusted certificates that were read last.
    pub(super) fn trust(&self) -> Arc<Trust> {
        self.live.read().trust.clone()
    }

    /// Returns the settings of connections to other servers. Each handshake uses the trusted
    /// certificates that were read last.
    pub(crate) fn client(self: &Arc<Self>) -> Result<ClientConfig, RunError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| RunError::Settings(format!("TLS cannot be used: {error}")))?;
        Ok(builder.dangerous().with_custom_certificate_verifier(self.clone()).with_no_client_auth())
    }

    /// Reads the files again on each SIGHUP.
    pub(crate) async fn reload_at(self: Arc<Self>, hangups: Option<Hangups>) {
        let Some(mut hangups) = hangups else { return };
        while hangups.next().await {
            match Live::read(&self.files) {
                Ok(live) => {
                    *self.live.write() = live;
                    tracing::info!("the certificates of the web server were read again, on SIGHUP");
                }
                Err(reason) => {
                    tracing::error!("SIGHUP: the certificates cannot be read again, and stay as they were: {reason}")
                }
            }
        }
    }
}

impl Live {
    fn read(files: &WebTls) -> Result<Self, String> {
        let mut trusted = HashSet::new();
        let server = match &files.server {
            Some(identity) => {
                let certificates = read_certificates(&identity.certificates)?;
                trusted.extend(certificates.first().cloned());
                Some(Arc::new(server(identity, certificates)?))
            }
            None => None,
        };
        let mut roots = RootCertStore::empty();
        for path in &files.trusted {
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate.clone())
                    .map_err(|error| format!("a certificate in {} cannot be used: {error}", path.display()))?;
                trusted.insert(certificate);
            }
        }
        let authorities = match roots.is_empty() {
            true => None,
            false => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                    .build()
                    .map_err(|error| format!("the trusted certificates cannot be used: {error}"))?,
            ),
        };
        Ok(Self { server, trust: Arc::new(Trust { certificates: trusted, authorities }) })
    }
}

/// Returns the library that implements the cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server(identity: &Identity, certificates: Vec<CertificateDer<'static>>) -> Result<ServerConfig, String> {
    let (of, key) = (identity.certificates.display(), identity.key.display());
    let private = PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| {
        format!("the private key in {key} cannot be read: {error}; it must be in PEM, and not encrypted")
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| format!("the certificate in {of} cannot be used with the private key in {key}: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads the certificates in a file. There must be at least one.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let cannot = |reason: String| format!("the certificates in {} cannot be read: {reason}", path.display());
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| cannot(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(cannot("the file has no certificate in PEM".into())),
        false => Ok(certificates),
    }
}
