//! Restore: brings a shard to the point where a lane can open it.
//!
//! A restore does two things. It finds the places where the shard's agents go on reading, and it
//! brings the shard's store to the ends of its tables' changelogs. It runs when the group gives a
//! shard to this worker, and again when a failed commit dropped the shard. It runs on the worker's
//! threads `restore-N`, so the open shards go on meanwhile.
//!
//! ```text
//!   group's positions --+
//!                       +--> inputs: where each agent goes on --------+
//!   log of places ------+                                             |
//!                                                                     +--> ShardPlan --> lane
//!   store (in a folder, in memory,                                    |
//!     or of a standby) -----------+                                   |
//!                                 +--> restorer: store at the ends ---+
//!   changelogs -------------------+    of its changelogs
//! ```
//!
//! # In which order things happen
//!
//! 1. **The store** is opened, or taken over from a standby or from the shard's last run here.
//! 2. **The inputs.** The group's positions are looked up first, and the shard's log of places is
//!    read after that. In this order the log has all that was committed with the positions.
//! 3. **The changelogs.** Their ends are looked up after the positions, for the same reason. A
//!    store that does not fit its changelog, or is too old for it, is emptied.
//! 4. **Reading.** The restore waits for a permit and reads each changelog from the store's
//!    position to the end. A shard with nothing to read skips this.
//! 5. **The check.** If tombstones may be gone by now, the store is rebuilt.
//! 6. **The plan** goes to the worker's control, which has a lane open the shard.
//!
//! A restore can be cancelled because the shard left again. The store keeps what was read, so that
//! the next restore goes on from there.
//!
//! # Where to start reading
//!
//! Start with `restorer`, and then `buffer`, which also explains when a store is too old. `inputs`
//! explains which of several places of an agent counts. `lookups` and `coalesce` let a thousand
//! shards share their requests to the broker. `folder` locks the folder of a worker's stores.
//! Standbys and copies of global tables read their changelogs through the same `RestoreBuffer`.

mod buffer;
mod cancellation;
mod changelog_reader;
mod coalesce;
mod expired;
mod folder;
mod folder_owner;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod inputs;
mod lookups;
mod places_logs;
mod restorer;

pub(crate) use buffer::{ChangelogRange, RestoreBuffer};
pub(crate) use cancellation::Cancellation;
pub(crate) use changelog_reader::ChangelogReader;
pub(crate) use expired::count_expired;
pub(crate) use folder::{Logs, TablesFolder, logs};
pub(crate) use folder_owner::FolderOwner;
pub(crate) use inputs::InputLookup;
pub(crate) use lookups::Lookups;
pub(crate) use places_logs::write_places;
pub(crate) use restorer::{RestorePermits, RestoreProgress, Restored, Restorer, StartingPoint, StateStore, close};
