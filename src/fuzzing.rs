//! The functions that the project's fuzzers run: the readers of all bytes that come from outside,
//! with checks of what they accept.
//!
//! This module is public for `marlowe-fuzz` only. Each function takes an input whose first byte
//! says what the input is, and returns `None` if it refuses the input. If it accepts an input that
//! does not have the expected properties, it panics, which is a finding. Beside each function is
//! one named `_seeds`. It returns inputs that are accepted, as Marlowe itself writes them.

pub use crate::cluster::fuzzing::{directory, directory_seeds};
pub use crate::codec::fuzzing::{keys, keys_seeds};
pub use crate::peer::fuzzing::{peers, peers_seeds};
pub use crate::restore::fuzzing::{changelog, changelog_seeds};
pub use crate::shard::fuzzing::{places, places_seeds};
pub use crate::timer::fuzzing::{timers, timers_seeds};
pub use crate::web::fuzzing::{http, http_seeds};
