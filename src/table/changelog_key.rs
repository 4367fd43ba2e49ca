//! The keys of changelog records. They tell rows from Marlowe's own marks.

/// What the key of a changelog record stands for: a row, or one of Marlowe's marks.
///
/// No row's key can be taken for a mark. The key of a row that begins as marks do is written with an escape before it, so
/// that compaction tells the two apart as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangelogKey<'a> {
    /// The row of a key in the topic's form.
    Row(&'a [u8]),
    /// No row.
    Mark(Mark),
}

/// A record of a changelog that is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Says that an owner began. Versions before transactions at least once wrote it.
    Epoch,
    /// Tells how far the inbox is applied, where no row changed. It has no value.
    Inbox,
    /// The first record of a changelog whose table was taken over from a Faust app: says that this is done. It has a value, so
    /// that compaction keeps it.
    TakenOver,
}

impl Mark {
    const ALL: [Self; 3] = [Self::Epoch, Self::Inbox, Self::TakenOver];

    /// The record's key.
    pub(crate) const fn key(self) -> &'static [u8] {
        match self {
            Self::Epoch => b"\0marlowe-epoch",
            Self::Inbox => b"\0marlowe-inbox",
            Self::TakenOver => b"\0marlowe-taken-over",
        }
    }
}

/// What marks and escapes begin with.
const PREFIX: &[u8] = b"\0marlowe";

/// What follows the prefix in all marks, those of later versions too.
const OF_MARK: u8 = b'-';

/// What follows the prefix in an escape, before the whole key.
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
                // Written before there were escapes.
                None => Self::Row(key),
            },
            _ => Self::Row(key),
        }
    }

    /// The record's key of a row whose key in the topic's form this is. `room` is used for what has to be escaped.
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
        // One from before there were escapes, which is no mark.
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
