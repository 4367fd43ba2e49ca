//! The server of a worker: sockets, connections and their limits, and the threads that answer.
//!
//! ```text
//! Listeners::bind      before anything starts, so that a port in use costs nothing
//! WebServer::start     the server's thread, and one for the program's own routes
//!   Acceptor           accepts connections up to a limit; a reserve may ask for /healthz only
//!     handshake        TLS, where the worker has a certificate
//!     Connection       one client: time limits for heads, bodies, answers and idling
//!       Unread         reads the rest of a body, so that the connection stays usable
//!       Apart          hands requests for the program's routes to their own thread
//! ```
//!
//! Start reading with [`WebServer`]. The routes themselves are in `web::routes`.

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
