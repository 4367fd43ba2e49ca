//! The workers of an app, in this process and others: who has which shard, where each can be asked, who leads.
//!
//! Each worker writes what it has to a compacted topic, `{app}-workers`, under its name. Each process follows that topic
//! into a [`Directory`]. Of claims to one shard the one of the newest generation of the group counts, so that a worker
//! which crashed, or was taken for dead, is passed over as soon as another has its shard.

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
