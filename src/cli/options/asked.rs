//! The running worker that a command asks: its address, the token for it, and the trusted
//! certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::WebToken;
use crate::tls::Tls;

/// The address of the web server, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Web {
    At(SocketAddr),
    Off,
}

/// A running worker, as commands reach it.
#[derive(Clone)]
pub(crate) struct AskedAt {
    pub(crate) web: Web,
    pub(crate) token: Option<WebToken>,
    /// The certificates that the worker may show. Commands speak HTTPS if there are any.
    pub(crate) tls: Option<Arc<Tls>>,
}
