//! What is done once before the workers start: topics, and the rows of a Faust app.

mod faust_import;
mod ownership;
mod topics;

pub(crate) use faust_import::{beginnings, take_over};
#[cfg(feature = "fuzzing")]
pub(crate) use ownership::Owned;
pub(crate) use ownership::check_owner;
pub(crate) use topics::prepare_topics;
