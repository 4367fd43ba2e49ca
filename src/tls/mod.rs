//! TLS for the web server and between workers: the certificate that a worker shows, and the
//! certificates that it trusts.
//!
//! 1. [`WebTls`] names the files, in the [`Config`](crate::Config) or on the command line.
//! 2. [`Tls::load`] reads them when the program starts. The web server takes its acceptor from
//!    there, and the client of other workers its settings.
//! 3. On SIGHUP the files are read again. Connections that begin afterwards use the new
//!    certificates.
//!
//! A certificate of another server is checked in `verifier.rs`, against the trusted ones in
//! `trust.rs`. In a program that is built without the feature `tls`, [`Tls::load`] is an error at
//! the start. Start reading at `files.rs`, then `live.rs`.

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
