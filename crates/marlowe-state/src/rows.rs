//! A batch of rows in one piece of memory.

use std::fmt;

/// A list of rows in one arena of bytes. A row is a key and a value, or a key without a value,
/// which means that the row is removed.
///
/// Pushing a row makes no allocation for that row alone. [`clear`](Self::clear) keeps the memory.
/// So a `Rows` that is filled again and again settles at the size of its largest batch.
#[derive(Clone, Default)]
pub struct Rows {
    arena: Vec<u8>,
    spans: Vec<Span>,
}

/// The place of a row in the arena: the key, and the value right after it.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    key: u32,
    value: u32,
}

/// The number of rows above which a sort moves the rows themselves too, because the processor's
/// caches do not hold that many.
const REWRITTEN: usize = 50_000;

/// The length of a value that stands for "no value". [`Rows::push`] refuses a real value of this
/// length.
const ABSENT: u32 = u32::MAX;

impl Rows {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.spans.clear();
    }

    /// Adds a row at the end. The value `None` means that the key is removed.
    ///
    /// # Panics
    ///
    /// If the key or the value has 4 GiB or more.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        assert!(
            key.len() < ABSENT as usize && value.is_none_or(|value| value.len() < ABSENT as usize),
            "a row's key and value must each be smaller than 4 GiB"
        );
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        if let Some(value) = value {
            self.arena.extend_from_slice(value);
        }
        let value = value.map_or(ABSENT, |value| value.len() as u32);
        self.spans.push(Span { start, key: key.len() as u32, value });
    }

    /// Returns the number of rows. A key that was pushed twice counts twice.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the number of bytes in all keys and values.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Returns whether one more row would exceed `limit` rows or `bytes` bytes. The first row is
    /// accepted whatever its size.
    pub(crate) fn is_full(&self, limit: usize, bytes: usize, key: &[u8], value: Option<&[u8]>) -> bool {
        let size = key.len() + value.map_or(0, <[u8]>::len);
        self.len() >= limit || (!self.is_empty() && self.bytes().saturating_add(size) > bytes)
    }

    /// Returns the row at `index`.
    pub fn get(&self, index: usize) -> Option<(&[u8], Option<&[u8]>)> {
        self.spans.get(index).map(|span| self.row(span))
    }

    /// Returns the rows, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> + DoubleEndedIterator {
        self.spans.iter().map(|span| self.row(span))
    }

    /// Sorts the rows by key. Rows with the same key stay in the order in which they were pushed.
    pub fn sort(&mut self) {
        let Self { arena, spans } = self;
        if spans.is_sorted_by(|a, b| key(arena, a) <= key(arena, b)) {
            return;
        }
        // The keys of a table often have a common prefix. The first bytes after it decide most
        // comparisons. They are copied here, which saves two accesses to the arena.
        let alike = common_prefix(arena, spans);
        let mut order: Vec<(u64, usize)> =
            spans.iter().enumerate().map(|(place, span)| (head(&key(arena, span)[alike..]), place)).collect();
        // The place decides between equal keys, so this unstable sort acts as a stable one.
        order.sort_unstable_by(|(head_a, a), (head_b, b)| {
            head_a
                .cmp(head_b)
                .then_with(|| key(arena, &spans[*a])[alike..].cmp(&key(arena, &spans[*b])[alike..]))
                .then(a.cmp(b))
        });
        *spans = order.into_iter().map(|(_, place)| spans[place]).collect();
        if spans.len() > REWRITTEN {
            self.rewrite();
        }
    }

    /// Brings the arena into the order of the rows. A caller that then goes through many rows finds
    /// each next to the one before, and does not wait for memory at each.
    fn rewrite(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len());
        for span in &mut self.spans {
            let value = if span.value == ABSENT { 0 } else { span.value as usize };
            let row = &self.arena[span.start..span.start + span.key as usize + value];
            span.start = arena.len();
            arena.extend_from_slice(row);
        }
        self.arena = arena;
    }

    fn row(&self, span: &Span) -> (&[u8], Option<&[u8]>) {
        let value = span.start + span.key as usize;
        let bytes = (span.value != ABSENT).then(|| &self.arena[value..value + span.value as usize]);
        (key(&self.arena, span), bytes)
    }
}

fn key<'a>(arena: &'a [u8], span: &Span) -> &'a [u8] {
    &arena[span.start..span.start + span.key as usize]
}

/// Returns the length of the longest prefix that all keys have in common.
fn common_prefix(arena: &[u8], spans: &[Span]) -> usize {
    let Some((first, rest)) = spans.split_first() else { return 0 };
    let first = key(arena, first);
    rest.iter().fold(first.len(), |alike, span| {
        let same = first[..alike].iter().zip(key(arena, span));
        same.take_while(|(a, b)| a == b).count()
    })
}

/// Returns the first eight bytes as a number that has the same order. Shorter keys are filled up
/// with zeros. So they may equal the head of a longer key, and then the whole keys are compared.
fn head(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; 8];
            head[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(head)
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.len()).field("bytes", &self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let mut rows = Rows::new();
        rows.push(b"b", Some(b"2"));
        rows.push(b"", Some(b""));
        rows.push(b"a", None);
        assert_eq!((rows.len(), rows.bytes()), (3, 3));
        assert_eq!(rows.get(0), Some((&b"b"[..], Some(&b"2"[..]))));
        assert_eq!(rows.get(1), Some((&b""[..], Some(&b""[..]))));
        assert_eq!(rows.get(2), Some((&b"a"[..], None)));
        assert_eq!(rows.get(3), None);
        rows.clear();
        assert!(rows.is_empty());
    }

    #[test]
    fn sorting_is_by_bytes_and_keeps_the_order_of_equal_keys() {
        let mut rows = Rows::new();
        for (key, value) in
            [("b", "1"), ("a\0", "2"), ("a", "3"), ("abcdefghij", "4"), ("b", "5"), ("abcdefgha", "6"), ("", "7")]
        {
            rows.push(key.as_bytes(), Some(value.as_bytes()));
        }
        rows.sort();
        let values: Vec<&[u8]> = rows.iter().filter_map(|(_, value)| value).collect();
        assert_eq!(values, [b"7", b"3", b"2", b"6", b"4", b"1", b"5"]);
    }

    #[test]
    fn many_rows_are_sorted_as_few_are() {
        let mut rows = Rows::new();
        let count = REWRITTEN as u32 + 10;
        for number in 0..count {
            let key = number.wrapping_mul(2_654_435_761) % 70_000;
            rows.push(&key.to_be_bytes(), (number % 3 > 0).then(|| number.to_string()).as_deref().map(str::as_bytes));
        }
        let expected: Vec<_> = {
            let mut all: Vec<_> = rows.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all
        };
        rows.sort();
        let sorted: Vec<_> = rows.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn rows_of_no_bytes_stay_in_order_too() {
        let mut rows = Rows::new();
        rows.push(b"x", None);
        for number in 0..100_u8 {
            rows.push(b"", Some(&b""[..]).filter(|_| number % 2 == 0));
            rows.push(b"", None);
        }
        rows.push(b"", Some(b""));
        rows.sort();
        assert_eq!(rows.get(200), Some((&b""[..], Some(&b""[..]))));
        assert_eq!(rows.get(201), Some((&b"x"[..], None)));
    }
}
