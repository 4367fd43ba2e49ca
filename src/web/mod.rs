//! The web server of a worker. It serves the worker's tables, its health and metrics, and the
//! program's own routes.

// A request passes these files:
//
// ```text
// listener       opens the sockets, before anything else of the program is started
// server         starts a thread for the web server, and one for the program's own routes
// accept         accepts connections up to a cap, with a reserve for health checks
// handshake      TLS, if the worker has certificates
// connection     one connection, with time limits for its client
// edge           checks every request: signature, host, origin, token and role
// routes         finds the route
//   index, health, metrics, topology, login        about the worker
//   tables, rows, row                              reads of tables
//   change, topics                                 writes to tables and topics
//   cluster                                        reads by other workers
//   apart                                          the program's own routes
// ```
//
// - `site` is the state from which the built-in routes answer.
// - A read finds its row in `slice`: it asks the owner of the partition, in this process or
//   another, through `Routes`. A global table is read from the worker's
//   own copy.
// - A change is sent to the inbox of its table. The owner of the key applies it.
// - A route of the program may have to run where a key is owned. `owner` and `route_to_owner`
//   forward the request there. `hop` has the headers of such a request.
// - Callers, tokens and sessions are in `access`, `session` and `login`.
// - All errors are `problem`s: JSON with the field `error`.
//
// Start reading at `server`, then `edge` and `routes`.

mod body;
mod cluster;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod health;
mod index;
mod metrics;
mod owner;
mod page;
mod problem;
mod route_to_owner;
mod routes;
mod security;
mod server;
mod site;
mod state;
mod tables;
mod topics;
mod topology;

pub use owner::{Forwarded, OwnerOf};
pub use route_to_owner::{RouteToOwner, RoutedToOwner};
pub(crate) use routes::WebRoutes;
pub use security::Caller;
pub(crate) use server::{Listeners, WebServer};
pub use state::WebState;
