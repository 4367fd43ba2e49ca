//! The web: each worker serves its tables, its metrics, and the program's own routes.

mod accept;
mod access;
mod address;
mod advertise;
mod apart;
mod body;
mod change;
mod cluster;
mod connection;
mod edge;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(feature = "tls")]
mod handshake;
mod health;
mod hop;
mod hosts;
mod index;
mod listener;
mod login;
mod login_page;
mod metrics;
mod owner;
mod page;
mod permit;
mod problem;
mod query;
mod route_to_owner;
mod routes;
mod row;
mod rows;
mod server;
mod session;
mod site;
mod slice;
mod state;
mod tables;
mod topics;
mod topology;
mod unread;

pub use access::Caller;
pub(crate) use listener::Listeners;
pub use owner::{Forwarded, OwnerOf};
pub use route_to_owner::{RouteToOwner, RoutedToOwner};
pub(crate) use routes::WebRoutes;
pub(crate) use server::WebServer;
pub use state::WebState;
