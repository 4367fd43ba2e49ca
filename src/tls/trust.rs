//! The certificates of other servers that a process trusts.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;

/// The certificates of other servers that a process trusts.
#[derive(Debug)]
pub(super) struct Trust {
    /// Certificates of servers. A server that shows one of them is trusted under any name, because
    /// only the right server has its key.
    pub(super) certificates: HashSet<CertificateDer<'static>>,
    /// A verifier with the certificates that may sign those of servers, for the names in them.
    pub(super) authorities: Option<Arc<WebPkiServerVerifier>>,
}
