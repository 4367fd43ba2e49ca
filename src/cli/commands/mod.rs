//! The commands of the command line, one file each.
//!
//! A command takes what it needs of the program and its settings, does its work, and answers
//! through the console, as text or as JSON. `worker` runs the program. `declared` shows what the
//! program declares (`agents`, `tables`, `topics`, `topology`).

pub(crate) mod backup;
pub(crate) mod declared;
pub(crate) mod reset;
pub(crate) mod rows;
pub(crate) mod send;
pub(crate) mod skip;
pub(crate) mod worker;
