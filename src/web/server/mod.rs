//! The server: sockets, connections and their limits, and the thread of the program's own routes.

mod accept;
mod advertise;
mod apart;
mod connection;
#[cfg(feature = "tls")]
mod handshake;
mod listener;
mod permit;
mod unread;
mod web_server;

pub(crate) use apart::Apart;
pub(crate) use listener::Listeners;
pub(crate) use unread::Unread;
pub(crate) use web_server::WebServer;
