//! The directory of workers: which worker has which shard, where each worker can be asked, and
//! which one leads.
//!
//! (Kafka Streams: `StreamsMetadata` and the setting `application.server`.)
//!
//! ```text
//!  worker   -- entry: URL, claims, standbys, leads -->  topic `{app}-workers` (compacted)
//!  process  <- follow -------------------------------   the same topic
//!    Directory: the newest claim to each shard counts
//!  reads, forwarded requests, standbys ask the Directory
//! ```
//!
//! 1. Each worker writes an *entry* under its name: its URL, the shards that it has taken, the
//!    shards that it keeps standbys of, and whether it leads. It writes again when something
//!    changes, and once a session as a heartbeat. When it stops, it writes a tombstone.
//! 2. Each process reads the topic into a [`Directory`]. Workers of the same process also set their
//!    entries there directly, without the detour through the topic.
//! 3. A *claim* is the part of an entry that says: this worker took this shard at this generation
//!    of the group. If several workers claim a shard, the newest generation counts. So the claim of
//!    a worker that crashed or was expelled ends as soon as another worker has taken the shard. The
//!    worker that was expelled learns it from the directory as well, and stops answering reads.
//! 4. An entry counts until its worker has been silent for three sessions. After twice that time
//!    the leader deletes it.
//!
//! If the workers share a [`ClusterToken`], entries and the requests between workers are signed
//! with it. Unsigned entries are ignored.
//!
//! Start reading in `entry` and `directory`. `follower` reads the topic, `rendezvous` chooses
//! standbys, and `signed` protects requests between workers. The writer of entries is in
//! `worker::directory_publisher`.

mod directory;
mod entry;
mod follower;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod rendezvous;
mod signed;
mod token;

pub(crate) use directory::{Claim, ClaimPlace, Directory};
pub(crate) use entry::{Entry, SIGNATURE, ShardClaim, sign};
pub(crate) use follower::follow;
pub(crate) use rendezvous::stand_by;
pub(crate) use signed::{NotSigned, SIGNED, Signed, Signer, Verifier};
pub use token::ClusterToken;
