//! Ports on 127.0.0.1 for the listeners of brokers.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::error::Error;
use crate::storage::random;

/// Ports on 127.0.0.1 that stay reserved, also while the broker that listens on one is down.
#[derive(Debug)]
pub(crate) struct Ports {
    numbers: Vec<u16>,
    /// UDP sockets with the numbers of the ports. They keep other clusters away, because
    /// [`Ports::take`] takes only numbers whose UDP port is free too.
    _reserved: Vec<UdpSocket>,
}

impl Ports {
    /// The lowest port. All ports are below 32768, where the ports begin that systems choose for
    /// outgoing connections. Otherwise a connection could be given the port of a broker that is
    /// down. It could even be a connection that is trying to reach that very broker.
    const FROM: u16 = 15_000;
    const COUNT: u16 = 17_000;

    /// Takes `wanted` free ports.
    pub(crate) fn take(wanted: usize) -> Result<Ports, Error> {
        const TRIES: u32 = 1_000;
        let mut ports = Ports { numbers: Vec::new(), _reserved: Vec::new() };
        for _ in 0..TRIES {
            if ports.numbers.len() == wanted {
                return Ok(ports);
            }
            let number = Ports::FROM + (random() % u64::from(Ports::COUNT)) as u16;
            let Ok(reserved) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                ports.numbers.push(number);
                ports._reserved.push(reserved);
            }
        }
        Err(Error::Ports { wanted, tries: TRIES })
    }

    pub(crate) fn numbers(&self) -> &[u16] {
        &self.numbers
    }
}
