//! Addresses at which web servers listen.

use std::net::SocketAddr;

/// Returns an address of the loopback interface with any free port.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
