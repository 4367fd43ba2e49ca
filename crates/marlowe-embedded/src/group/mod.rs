//! Consumer groups: who is in them and who owns which partition.

mod assignment;
mod coordinator;
mod groups;
mod member;
mod membership;

pub(crate) use groups::{Groups, generation_by};
pub(crate) use membership::GroupMembership;
