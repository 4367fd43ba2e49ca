//! Committed reads: of slices that are open here, of copies, and of other workers.

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
pub(crate) use routes::{PeerRefusal, Place, RouteError, Routes};
pub(crate) use search::{Elsewhere, Found, Unavailable};
pub(crate) use standby::{Freshness, StandbySlice};
