//! The partitions that the members of a group have, and the search for partitions that no member
//! has.

use std::collections::BTreeSet;

/// The assignments of all members of a group, taken together.
///
/// A static member may restart during a rebalance that takes partitions from it. The coordinator
/// treats it as a member that was never away, so there is no new rebalance. The member comes back
/// to the partitions that it keeps. The partitions that it was about to give up then belong to
/// nobody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment(BTreeSet<(String, i32)>);

impl Assignment {
    /// Reads each member's assignment in the format of the classic protocol
    /// (`ConsumerProtocolAssignment`). Returns `None` if an assignment has another format.
    pub(crate) fn read<'a>(assignments: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut given = BTreeSet::new();
        // The assignment of a member that has joined, but was given nothing yet, is empty.
        for mut rest in assignments.into_iter().filter(|assignment| !assignment.is_empty()) {
            let _version: [u8; 2] = take(&mut rest)?;
            for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
                let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
                let (topic, after) = rest.split_at_checked(length)?;
                rest = after;
                let topic = std::str::from_utf8(topic).ok()?;
                for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
                    given.insert((topic.to_owned(), i32::from_be_bytes(take(&mut rest)?)));
                }
            }
        }
        Some(Self(given))
    }

    /// Returns the first of a topic's partitions that no member has.
    pub(crate) fn missing(&self, topic: &str, partitions: u32) -> Option<i32> {
        (0..i32::try_from(partitions).ok()?).find(|partition| !self.0.contains(&(topic.to_owned(), *partition)))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An assignment of version 1: `a` with partitions 0 and 2, `bc` with 1, and no user data.
    const SOME: &[u8] =
        b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x02\0\x02bc\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff";

    #[test]
    fn what_nobody_has_is_found() {
        let one = Assignment::read([SOME, b""]).unwrap();
        assert_eq!((one.missing("a", 3), one.missing("a", 1), one.missing("bc", 2)), (Some(1), None, Some(0)));
        let other = b"\0\0\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff";
        let both = Assignment::read([SOME, other]).unwrap();
        assert_eq!((both.missing("a", 3), both.missing("d", 1)), (None, Some(0)));
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        // The last four bytes are the length of the user data, which is not read.
        for length in 1..SOME.len() - 4 {
            assert_eq!(Assignment::read([&SOME[..length]]), None, "{length} bytes");
        }
    }
}
