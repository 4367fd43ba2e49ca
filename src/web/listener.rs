use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::advertise::Advertised;
use crate::config::Config;
use crate::error::RunError;
use crate::host::Network;
use crate::tls::Tls;

/// The sockets that the workers of a process will serve on, one each. They are taken before anything is started, so that a
/// port in use costs nothing.
pub(crate) struct Listeners(std::vec::IntoIter<Listener>);

/// What is served on.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Network(Arc<dyn Network>),
}

/// A socket that a worker will serve on.
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: SocketAddr,
    /// Where other workers find it.
    pub(crate) url: Arc<str>,
}

impl Listeners {
    /// Takes a socket for each worker; none where there is to be no web server.
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
                    "an advertised URL is one of the web server, and there is none: leave it out, or start one with --web".into(),
                ));
            }
            None => {}
        }
        Ok(Self(listeners.into_iter()))
    }

    /// The next worker's.
    pub(crate) fn next(&mut self) -> Option<Listener> {
        self.0.next()
    }
}

/// Where worker `number` listens, if the first one does at `first`.
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
                "this machine has no such address; listen on one it has, as 127.0.0.1, or on all with 0.0.0.0".into()
            }
            ErrorKind::PermissionDenied => {
                format!("not permitted ({error}); choose a port above 1023, or a free one with `--web {free}`")
            }
            _ => format!("{error}; choose another address, as with `--web {free}`"),
        };
        RunError::Web { address: address.to_string(), reason }
    })
}
