//! The sockets of the web servers of a process.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::advertise::Advertised;
use crate::config::Config;
use crate::error::RunError;
use crate::host::Network;
use crate::tls::Tls;

/// The sockets on which the workers of a process will serve, one for each. They are opened before
/// anything is started. So a port in use is found before there is anything to undo.
pub(crate) struct Listeners(std::vec::IntoIter<Listener>);

/// The socket or simulated network on which a worker serves.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Network(Arc<dyn Network>),
}

/// A socket on which a worker will serve.
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    /// The URL at which other workers find it.
    pub(crate) url: Arc<str>,
}

impl Listeners {
    /// Opens a socket for each worker, or none if there is no web server.
    pub(crate) fn bind(config: &Config, tls: Option<&Tls>) -> Result<Self, RunError> {
        let mut listeners = Vec::new();
        let advertised = Advertised::parse(config.advertise.as_deref(), tls)?;
        if let Some(network) = config.host.network() {
            let (url, address) = (network.url(), SocketAddr::from(([127, 0, 0, 1], 0)));
            return Ok(Self(vec![Listener { socket: Socket::Network(network), address, url }].into_iter()));
        }
        match config.web {
            Some(first) => {
                for number in 0..config.workers {
                    let (socket, address) = bind(address_of(first, number)?)?;
                    listeners.push(Listener {
                        socket: Socket::Tcp(socket),
                        address,
                        url: advertised.url(number, address)?,
                    });
                }
            }
            None if config.advertise.is_some() => {
                return Err(RunError::Settings(
                    "an advertised URL (--advertise) needs a web server, and there is none: leave it out, or start a \
                     web server with --web HOST:PORT"
                        .into(),
                ));
            }
            None => {}
        }
        Ok(Self(listeners.into_iter()))
    }

    /// Returns the socket of the next worker.
    pub(crate) fn next(&mut self) -> Option<Listener> {
        self.0.next()
    }
}

/// Returns the address at which worker `number` listens, if the first worker listens at `first`.
fn address_of(first: SocketAddr, number: usize) -> Result<SocketAddr, RunError> {
    let mut address = first;
    if first.port() != 0 {
        let port = u16::try_from(number).ok().and_then(|number| first.port().checked_add(number));
        address.set_port(port.ok_or_else(|| RunError::Web {
            address: first.to_string(),
            reason: format!("worker {number} would need a port beyond 65535; take a lower first port"),
        })?);
    }
    Ok(address)
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), RunError> {
    let bound = TcpListener::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    bound.map_err(|error| {
        let free = SocketAddr::new(address.ip(), 0);
        let reason = match error.kind() {
            ErrorKind::AddrInUse => format!(
                "port {} is in use, perhaps by another worker; choose another, or a free one with `--web {free}`",
                address.port()
            ),
            ErrorKind::AddrNotAvailable => {
                "this machine has no such address; listen on one that it has, such as 127.0.0.1, or on all with 0.0.0.0"
                    .into()
            }
            ErrorKind::PermissionDenied => {
                format!("not permitted ({error}); choose a port above 1023, or a free one with `--web {free}`")
            }
            _ => format!("{error}; choose another address, for example with `--web {free}`"),
        };
        RunError::Web { address: address.to_string(), reason }
    })
}
