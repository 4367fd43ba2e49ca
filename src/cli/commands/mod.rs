//! The commands of the command line, one file each.

pub(crate) mod backup;
pub(crate) mod declared;
pub(crate) mod reset;
pub(crate) mod rows;
pub(crate) mod send;
pub(crate) mod skip;
pub(crate) mod worker;
