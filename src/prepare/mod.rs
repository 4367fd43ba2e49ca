//! Preparation: the work that is done once, before the workers of a process start.
//!
//! ```text
//!   prepare_topics                            take_over
//!     look up the topics that exist             read and check the Faust tables
//!     resolve the numbers of partitions         copy their rows, partition by partition
//!     check the Faust tables to import            |
//!     own the internal topics                     v
//!     create or check all topics  ----------->  workers start
//! ```
//!
//! # In which order things happen
//!
//! 1. **Topics** ([`prepare_topics`]). The topics that the program names are looked up, and the
//!    topology takes the numbers of partitions from those that exist.
//! 2. **Faust tables** that are to be imported are checked before anything is created. So a program
//!    with a wrong declaration leaves no topics behind.
//! 3. **Ownership** (`ownership`). The app's list of topics is created, and the app claims its
//!    internal topics in it. It is refused if another app has a topic of the same name.
//! 4. **Creation.** Missing topics are created, and existing ones are checked.
//! 5. **Import** ([`take_over`]). Only now are the rows of Faust tables copied, into changelogs
//!    that exist but are empty.
//!
//! Each step can be repeated, and several processes may do it at the same time.
//!
//! # Where to start reading
//!
//! Start with `topics`. `ownership` explains how two apps notice that they would share a topic.
//! `faust_import` explains how the import stays all or nothing.

mod faust_import;
mod ownership;
mod topics;

pub(crate) use faust_import::{beginnings, take_over};
#[cfg(feature = "fuzzing")]
pub(crate) use ownership::OwnedTopics;
pub(crate) use ownership::check_owner;
pub(crate) use topics::prepare_topics;
