//! What the project's fuzzers run: the readers of all bytes that come from outside, and what must be true of whatever they take.
//!
//! It is public for `marlowe-fuzz` only. Each function takes an input whose first byte says what it is to be, and returns `None` when
//! it is refused. It panics when something is taken and not what it should be: that is a finding. Each has `_seeds` beside it:
//! inputs that are taken, as Marlowe itself writes them.

pub use crate::cluster::fuzzing::{directory, directory_seeds};
pub use crate::codec::fuzzing::{keys, keys_seeds};
pub use crate::peer::fuzzing::{peers, peers_seeds};
pub use crate::restore::fuzzing::{changelog, changelog_seeds};
pub use crate::shard::fuzzing::{places, places_seeds};
pub use crate::timer::fuzzing::{timers, timers_seeds};
pub use crate::web::fuzzing::{http, http_seeds};
