//! The checks that each request passes before a route sees it.
//!
//! 1. [`Hosts`]: on the loopback, the request must name the worker by a name of its own, so that
//!    the page of another site cannot reach it.
//! 2. [`Edge`]: a change that a browser sends for another site is refused.
//! 3. [`Edge`] finds the [`Caller`]: another worker by its signature, else the bearer of a token
//!    ([`Access`]), else a browser's session ([`Sessions`]). Without one, the answer is 401.
//! 4. [`Hop`] marks requests that a worker forwards for a caller, and takes tokens and sessions
//!    out.
//!
//! `login` and `login_page` give a browser its session. Start reading with `edge`.

mod access;
pub(crate) mod edge;
pub(crate) mod hop;
mod hosts;
pub(crate) mod login;
pub(crate) mod login_page;
mod session;

pub(crate) use access::Access;
pub use access::Caller;
pub(crate) use edge::{Edge, Said};
pub(crate) use hop::Hop;
pub(crate) use hosts::Hosts;
pub(crate) use session::{LOGIN, LOGOUT, Sessions};
