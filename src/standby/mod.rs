//! Standbys: copies of other workers' slices that follow their changelogs.

mod handle;
mod replica;
mod task;

pub(crate) use handle::{Followed, Standbys};
pub(crate) use task::StandbyTask;
