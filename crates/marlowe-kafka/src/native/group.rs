//! Membership of a group: joining and leaving it, its assignments, its commits and its state.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use rdkafka::bindings as sys;

use super::client::{Client, slice};
use super::code::Failure;
use super::partitions::Places;

/// The identity of a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) group: String,
    pub(crate) member: String,
    /// The member's generation, or -1 when it has none.
    pub(crate) generation: i32,
    pub(crate) instance: Option<String>,
}

/// The state of a group, as its coordinator reports it.
#[derive(Debug, Default)]
pub(crate) struct GroupState {
    /// True if no rebalance is going on or about to begin.
    pub(crate) is_stable: bool,
    /// The assignment of each member, in the format of the group's protocol.
    pub(crate) assignments: Vec<Vec<u8>>,
}

/// A member's identity, in librdkafka's memory.
pub(super) struct NativeIdentity(NonNull<sys::rd_kafka_consumer_group_metadata_t>);

impl NativeIdentity {
    pub(super) fn of(identity: &Identity) -> Option<Self> {
        let group = CString::new(identity.group.as_str()).ok()?;
        let member = CString::new(identity.member.as_str()).ok()?;
        let instance = identity.instance.as_deref().map(CString::new).transpose().ok()?;
        let instance = instance.as_ref().map_or(std::ptr::null(), |instance| instance.as_ptr());
        // SAFETY: all arguments are strings, and librdkafka copies them.
        let metadata = unsafe {
            sys::rd_kafka_consumer_group_metadata_new_with_genid(
                group.as_ptr(),
                identity.generation,
                member.as_ptr(),
                instance,
            )
        };
        NonNull::new(metadata).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_consumer_group_metadata_t {
        self.0.as_ptr()
    }
}

impl Drop for NativeIdentity {
    fn drop(&mut self) {
        // SAFETY: it is destroyed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) };
    }
}

impl Client {
    /// Joins the group that the client was configured for.
    pub(crate) fn subscribe(&self, topics: &[&str]) -> Result<(), Failure> {
        let mut list = rdkafka::TopicPartitionList::with_capacity(topics.len());
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        // SAFETY: client and list are alive; the list is copied.
        super::Code::check(unsafe { sys::rd_kafka_subscribe(self.as_ptr(), list.ptr()) })
    }

    /// Adds partitions to the client's assignment, and pauses them, so that nothing is fetched from
    /// them.
    pub(crate) fn take_up(&self, places: &Places) -> Result<(), Failure> {
        // SAFETY: client and list are alive; the list is copied.
        unsafe {
            Failure::take(sys::rd_kafka_incremental_assign(self.as_ptr(), places.as_ptr()))?;
            super::Code::check(sys::rd_kafka_pause_partitions(self.as_ptr(), places.as_ptr()))
        }
    }

    /// Removes partitions from the client's assignment.
    pub(crate) fn give_up(&self, places: &Places) -> Result<(), Failure> {
        // SAFETY: client and list are alive; the list is copied.
        unsafe { Failure::take(sys::rd_kafka_incremental_unassign(self.as_ptr(), places.as_ptr())) }
    }

    /// Returns whether the client is a member of its group, as far as it knows.
    pub(crate) fn is_member(&self) -> bool {
        self.identity().is_some_and(|identity| identity.generation >= 0 && !identity.member.is_empty())
    }

    /// Leaves the group, and closes the consumer.
    pub(crate) fn close(&self) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        super::Code::check(unsafe { sys::rd_kafka_consumer_close(self.as_ptr()) })
    }

    /// Returns the member's current identity.
    pub(crate) fn identity(&self) -> Option<Identity> {
        // SAFETY: the client is alive. The strings live as long as the metadata, and are copied
        // before the metadata is destroyed.
        unsafe {
            let metadata = NativeIdentity(NonNull::new(sys::rd_kafka_consumer_group_metadata(self.as_ptr()))?);
            let text =
                |text: *const c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
            Some(Identity {
                group: text(sys::rd_kafka_consumer_group_metadata_group_id(metadata.as_ptr())).unwrap_or_default(),
                member: text(sys::rd_kafka_consumer_group_metadata_member_id(metadata.as_ptr())).unwrap_or_default(),
                generation: sys::rd_kafka_consumer_group_metadata_generation_id(metadata.as_ptr()),
                instance: text(sys::rd_kafka_consumer_group_metadata_group_instance_id(metadata.as_ptr())),
            })
        }
    }

    /// Commits positions in the name of the member that this client is, or in no member's name if
    /// it is none.
    pub(crate) fn commit(&self, places: &Places) -> Result<(), Failure> {
        // SAFETY: client and list are alive.
        super::Code::check(unsafe { sys::rd_kafka_commit(self.as_ptr(), places.as_ptr(), 0) })
    }

    /// Leaves the group as soon as the client's partitions are given up, which the observer is
    /// asked to do. A static member leaves too.
    pub(crate) fn unsubscribe(&self) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        super::Code::check(unsafe { sys::rd_kafka_unsubscribe(self.as_ptr()) })
    }

    /// Asks a group's coordinator for the state of the group.
    pub(crate) fn group(&self, group: &str, within: std::time::Duration) -> Result<GroupState, Failure> {
        let Ok(group) = CString::new(group) else { return Ok(GroupState::default()) };
        let mut list = std::ptr::null();
        // SAFETY: the client is alive. Its answer is read before it is destroyed, and the arrays of
        // the answer have the lengths that it says.
        unsafe {
            let millis = super::client::millis(within);
            super::Code::check(sys::rd_kafka_list_groups(self.as_ptr(), group.as_ptr(), &mut list, millis))?;
            let assignment = |member: &sys::rd_kafka_group_member_info| {
                slice(member.member_assignment.cast::<u8>(), member.member_assignment_size).to_vec()
            };
            let state = slice((*list).groups, (*list).group_cnt).first().map(|group| GroupState {
                is_stable: !group.state.is_null() && CStr::from_ptr(group.state).to_bytes() == b"Stable",
                assignments: slice(group.members, group.member_cnt).iter().map(assignment).collect(),
            });
            sys::rd_kafka_group_list_destroy(list);
            Ok(state.unwrap_or_default())
        }
    }
}
