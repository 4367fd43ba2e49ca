//! TLS for the web server and between workers: which certificate a worker shows, and which it trusts.
//!
//! Both are read from files at the start, and again on SIGHUP: connections that begin then use what was read. Where the program is
//! built without the feature `tls`, there is none, and asking for it is an error at the start.

#[cfg(not(feature = "tls"))]
mod absent;
mod files;
#[cfg(feature = "tls")]
mod hangups;
#[cfg(feature = "tls")]
mod live;
#[cfg(feature = "tls")]
mod trust;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::Tls;
pub use files::WebTls;
#[cfg(feature = "tls")]
pub(crate) use hangups::Hangups;
#[cfg(feature = "tls")]
pub(crate) use live::Tls;
