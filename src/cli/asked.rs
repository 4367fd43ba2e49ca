//! Where a running worker is, and what is said to it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::WebToken;
use crate::tls::Tls;

/// Where the web is, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Web {
    At(SocketAddr),
    Off,
}

/// A running worker, as commands ask it.
#[derive(Clone)]
pub(crate) struct AskedAt {
    pub(crate) web: Web,
    pub(crate) token: Option<WebToken>,
    /// The certificates that it may show; commands speak HTTPS where there are any.
    pub(crate) tls: Option<Arc<Tls>>,
}
