//! The web: each worker serves its tables, its metrics, and the program's own routes.

mod address;
mod advertise;
mod body;
mod change;
mod cluster;
mod edge;
mod health;
mod index;
mod listener;
mod metrics;
pub(crate) mod percent;
mod problem;
mod query;
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

pub(crate) use listener::Listeners;
pub(crate) use routes::WebRoutes;
pub(crate) use server::WebServer;
pub use state::WebState;
