//! Opening a shard: where its inputs are, and its tables from their changelogs.

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
