//! Committed reads of any partition of any table, from any process of the app.
//!
//! An owner *publishes* each of its slices here while the slice is open. Readers never touch a
//! shard's thread: they read the slice's committed store, and each read is one snapshot with its
//! position. (Kafka Streams: interactive queries. Faust: table routes.)
//!
//! How a read finds its partition (`Routes::ask`):
//!
//! ```text
//!  is the slice open in this process?
//!    yes -> read it here
//!    no  -> look up the newest claim in the directory of workers
//!      no claim, one of this process, or one without a URL -> wait until something changes
//!      a claim of another process -> POST /cluster/v1/read to its URL
//!        200        the answer
//!        421        the worker does not have the partition (any more) -> look again
//!        503        not open yet, or not at the wanted position       -> look again
//!        no answer                                                    -> look again
//!        otherwise  an error for the reader
//!  look again when slices or the directory change, or after 10 to 250 ms, until the deadline
//! ```
//!
//! Two rules keep this simple:
//!
//! - The question names the generation of the claim that the asker believes in. A worker that took
//!   the shard at an older generation answers 421, because it has lost the shard.
//! - The worker that is asked answers from its own process or not at all. It never asks a third
//!   worker. So there are no loops, and only the asker retries.
//!
//! Standby reads (`Routes::ask_within`) are an option of the reader. A *standby* is a copy of
//! another worker's slice that follows the changelog. (Kafka Streams: a standby task.) It knows a
//! moment up to which it has all commits; the time since then is its staleness. The order of
//! attempts is: the owner in this process, a standby in this process, the owner in another process,
//! a standby in another process. A standby is used only while its staleness is within the reader's
//! bound.
//!
//! A worker that was expelled from the group may not know it yet, and may still have old slices
//! open. `Routes::publish` and `Routes::yield_to_newer_owners` close its slices to readers as soon
//! as the directory has a claim with a newer generation.
//!
//! Start reading in `routes`, then `search` and `stale`. The messages between workers are in
//! [`peer`](crate::peer), and the claims in [`cluster`](crate::cluster).

mod committed;
mod global;
mod open;
mod routes;
mod search;
mod stale;
mod standby;

pub(crate) use committed::{CommittedSlice, Reached};
pub(crate) use global::GlobalStore;
pub(crate) use open::{OpenSlices, Owner, Published};
pub(crate) use routes::{PeerRefusal, RouteError, Routes, SlicePlace};
pub(crate) use search::{Elsewhere, FoundPartition, Unavailable};
pub(crate) use standby::{Freshness, StandbySlice};
