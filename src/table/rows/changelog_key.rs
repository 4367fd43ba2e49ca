//! The keys of changelog records, which tell rows from Marlowe's own marks.

/// The meaning of a changelog record's key: a row, or one of Marlowe's marks.
///
/// A row's key is never mistaken for a mark. If a row's key begins like a mark, it is written with
/// an escape in front. So compaction also tells the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangelogKey<'a> {
    /// A row. The bytes are its key in topic form.
    Row(&'a [u8]),
    /// A mark, which is not a row.
    Mark(Mark),
}

/// A changelog record that is not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Marks the start of an owner. Only versions from before at-least-once apps used transactions
    /// wrote it.
    Epoch,
    /// Says how far the inbox is applied when no row changed. It has no value.
    Inbox,
    /// The first record of a changelog whose table was taken over from a Faust app. It says that
    /// the take-over is done. It has a value, so that compaction keeps it.
    TakenOver,
}

impl Mark {
    const ALL: [Self; 3] = [Self::Epoch, Self::Inbox, Self::TakenOver];

    /// Returns the record's key.
    pub(crate) const fn key(self) -> &'static [u8] {
        match self {
            Self::Epoch => b"\0marlowe-epoch",
            Self::Inbox => b"\0marlowe-inbox",
            Self::TakenOver => b"\0marlowe-taken-over",
        }
    }
}

/// The first bytes of all marks and escapes.
const PREFIX: &[u8] = b"\0marlowe";

/// The byte after the prefix in all marks, also in those of later versions.
const OF_MARK: u8 = b'-';

/// The byte after the prefix in an escape. The whole key follows it.
const OF_ESCAPE: u8 = 0;

impl<'a> ChangelogKey<'a> {
    /// Reads a record's key.
    #[inline]
    pub(crate) fn read(key: &'a [u8]) -> Self {
        if key.first() == Some(&PREFIX[0]) { Self::read_marked(key) } else { Self::Row(key) }
    }

    fn read_marked(key: &'a [u8]) -> Self {
        match key.strip_prefix(PREFIX).and_then(<[u8]>::split_first) {
            Some((&OF_ESCAPE, escaped)) if escaped.starts_with(PREFIX) => Self::Row(escaped),
            Some((&OF_MARK, _)) => match Mark::ALL.into_iter().find(|mark| mark.key() == key) {
                Some(mark) => Self::Mark(mark),
                // A row that was written before escapes existed.
                None => Self::Row(key),
            },
            _ => Self::Row(key),
        }
    }

    /// Returns the changelog key of the row whose key in topic form is `topic_key`. If the key
    /// needs an escape, the result is built in `room`.
    #[inline]
    pub(crate) fn of_row(topic_key: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
        if topic_key.first() != Some(&PREFIX[0]) || !needs_escape(topic_key) {
            return topic_key;
        }
        room.clear();
        room.extend_from_slice(PREFIX);
        room.push(OF_ESCAPE);
        room.extend_from_slice(topic_key);
        room
    }
}

#[cold]
fn needs_escape(topic_key: &[u8]) -> bool {
    match topic_key.strip_prefix(PREFIX).and_then(<[u8]>::split_first) {
        Some((&OF_MARK, _)) => true,
        Some((&OF_ESCAPE, rest)) => rest.starts_with(PREFIX),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(key: &[u8]) -> Vec<u8> {
        ChangelogKey::of_row(key, &mut Vec::new()).to_vec()
    }

    #[test]
    fn n1_5_no_key_of_a_row_is_a_mark() {
        for mark in Mark::ALL {
            assert_eq!(ChangelogKey::read(mark.key()), ChangelogKey::Mark(mark));
            let twice = written(&written(mark.key()));
            for key in [mark.key(), &written(mark.key()), &twice] {
                assert_eq!(ChangelogKey::read(&written(key)), ChangelogKey::Row(key));
                assert_ne!(written(key), key);
            }
        }
    }

    #[test]
    fn n1_5_other_keys_are_written_as_they_are() {
        for key in
            [&b""[..], b"\0", b"\0marlow", b"\0marlowe", b"\0marloweX", b"\0marlowe\0", b"\0marlowe\0x", b"marlowe-"]
        {
            assert_eq!((written(key).as_slice(), ChangelogKey::read(key)), (key, ChangelogKey::Row(key)));
        }
        // A row from before escapes existed, whose key is not a mark.
        assert_eq!(ChangelogKey::read(b"\0marlowe-x"), ChangelogKey::Row(b"\0marlowe-x"));
    }

    proptest! {
        #[test]
        fn n1_5_a_key_is_read_as_it_was_written(parts in proptest::collection::vec(
            prop_oneof![
                Just(PREFIX.to_vec()), Just(vec![0]), Just(b"-".to_vec()), Just(b"-epoch".to_vec()), Just(b"-inbox".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..3),
            ],
            0..6,
        )) {
            let key = parts.concat();
            let written = written(&key);
            prop_assert_eq!(ChangelogKey::read(&written), ChangelogKey::Row(key.as_slice()));
        }
    }
}
