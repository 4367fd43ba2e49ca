//! The web: each worker serves its tables, its metrics, and the program's own routes.

mod address;
mod advertise;
mod body;
mod change;
mod cluster;
mod edge;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod health;
mod hop;
mod index;
mod listener;
mod metrics;
mod owner;
pub(crate) mod percent;
mod problem;
mod query;
mod route_to_owner;
mod routes;
mod row;
mod rows;
mod server;
mod site;
mod slice;
mod state;
mod tables;
mod topics;
mod topology;
mod unread;

pub(crate) use listener::Listeners;
pub use owner::{Forwarded, OwnerOf};
pub use route_to_owner::{RouteToOwner, RoutedToOwner};
pub(crate) use routes::WebRoutes;
pub(crate) use server::WebServer;
pub use state::WebState;
