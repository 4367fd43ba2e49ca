//! The checks that each request passes: the host, the caller, and other sites.

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
