//! Questions from one worker to another about one partition of a table, over HTTP.
//!
//! ```text
//!  asking worker                                   worker that has the partition
//!  -------------                                   -----------------------------
//!  query::Routes
//!    Peers::ask(url, Asked)
//!      encode, sign  -- POST /cluster/v1/read -->  check the signature (`cluster::signed`)
//!                                                  decode, answer from its own slices
//!      decode       <-- 200 answer --------------  Routes::answer
//!                   <-- 421, 503 or 401 ---------  PeerError in the asking worker
//! ```
//!
//! 1. [`Question`] is one read of one partition: a row, some rows of a range, the number of rows,
//!    or only the position.
//! 2. [`Asked`] adds the table, the partition, the generation that the asker believes in, the
//!    wanted position, and how long the other worker may wait.
//! 3. The answer comes from one snapshot and has that snapshot's position. If a standby gave it, it
//!    also has its staleness.
//!
//! Questions and answers are in `postcard`'s binary form; errors are JSON. The choice of the worker
//! to ask, and the treatment of errors, are in [`query`](crate::query).
//!
//! Start reading in `question`, then `wire` and `client`. `http` is the plain HTTP client, which
//! other modules use as well.

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
