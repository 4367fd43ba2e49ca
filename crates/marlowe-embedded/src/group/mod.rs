//! Consumer groups: their members, and which member owns which partition.
//!
//! A member asks for events (`membership`). The question is also its heartbeat, so no thread runs
//! here. It goes to the coordinator of the group (`coordinator`), which first expels the members
//! whose session has ended. `assignment` computes who should own what, and `member` holds what is
//! known of one member. `groups` finds a group by name, behind one lock.
//!
//! A partition moves in this order:
//!
//! 1. A member joins, leaves or is expelled, or a topic comes or goes. The coordinator computes the
//!    new assignment.
//! 2. The owner of a partition that has to move gets `Revoked`. It commits and closes its work
//!    there.
//! 3. The owner acknowledges. An owner that leaves, is expelled or is replaced need not.
//! 4. The new owner gets `Assigned`.
//!
//! Members are not stored, because none outlives the broker. Start reading at `coordinator`.

mod assignment;
mod coordinator;
mod groups;
mod member;
mod membership;

pub(crate) use groups::{Groups, generation_by};
pub(crate) use membership::GroupMembership;
