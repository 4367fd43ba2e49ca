//! The certificates that are trusted.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Trust {
    /// Certificates of servers, whatever the servers are called: any server with such a certificate's key is the right one.
    pub(super) certificates: HashSet<CertificateDer<'static>>,
    /// Certificates that may sign those of servers, for the names in them.
    pub(super) authorities: Option<Arc<WebPkiServerVerifier>>,
}
