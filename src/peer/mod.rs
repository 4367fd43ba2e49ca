//! Asking another worker: what can be asked of one partition of a table, how it travels, and the client that asks.

mod client;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod http;
mod question;
mod wire;

pub(crate) use client::{PeerSecurity, Peers};
pub(crate) use error::PeerError;
pub(crate) use http::HttpClient;
pub(crate) use question::{Answer, AsOf, Found, Question, Wanted};
pub(crate) use wire::{Asked, READ_PATH, ROW_BYTES, WAIT_AT_MOST, decode_question, encode_answer, whole_millis};
