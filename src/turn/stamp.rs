use marlowe_broker::{Offset, Partitioner};

/// What a changelog record tells besides its row (at least once only): in which epoch of its shard it was written, and which
/// positions in the shard's inputs it includes.
///
/// Every record has it, so it is small: a number, and then an input and a position for each agent. Numbers are of seven bits a
/// byte, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp<'a> {
    /// Each opening of a shard is an epoch, later than those before it. A record of an earlier epoch than one before it in the
    /// log is of a worker that was taken for dead and went on: it is passed over.
    pub(crate) epoch: u64,
    includes: &'a [u8],
}

/// An agent's input, in four bytes: a hash of the topic's and the agent's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InputId(u32);

/// Positions in a shard's inputs, as a stamp has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Includes(Vec<u8>);

impl InputId {
    pub(crate) fn of(topic: &str, agent: &str) -> Self {
        /// All that the hash that Kafka spreads keys with can be.
        const HASHES: u32 = 1 << 31;
        Self(Partitioner::Murmur2.partition(format!("{topic}/{agent}").as_bytes(), HASHES).get())
    }
}

impl Includes {
    pub(crate) fn add(&mut self, input: InputId, position: Offset) {
        self.0.extend(input.0.to_le_bytes());
        push(position.get(), &mut self.0);
    }
}

impl<'a> Stamp<'a> {
    /// The name of its header.
    pub(crate) const HEADER: &'static str = "stamp";

    /// As a record carries it.
    pub(crate) fn written(epoch: u64, includes: &Includes) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(10 + includes.0.len());
        push(epoch, &mut bytes);
        bytes.extend(&includes.0);
        bytes
    }

    /// What a record carries; `None` when that is no stamp.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut includes = bytes;
        let epoch = pull(&mut includes)?;
        Some(Self { epoch, includes })
    }

    /// The positions that it includes.
    pub(crate) fn includes(mut self) -> impl Iterator<Item = (InputId, Offset)> + 'a {
        std::iter::from_fn(move || {
            let (input, rest) = self.includes.split_first_chunk()?;
            self.includes = rest;
            Some((InputId(u32::from_le_bytes(*input)), Offset::new(pull(&mut self.includes)?)))
        })
    }
}

fn push(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn pull(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Includes, InputId, Stamp};
    use marlowe_broker::Offset;

    #[test]
    fn what_is_written_is_read() {
        let (a, b) = (InputId::of("events", "count"), InputId::of("events", "sum"));
        assert_ne!(a, b);
        let mut includes = Includes::default();
        includes.add(a, Offset::new(300));
        includes.add(b, Offset::new(u64::MAX));
        for epoch in [0, 127, 128, u64::MAX] {
            let bytes = Stamp::written(epoch, &includes);
            let stamp = Stamp::read(&bytes).expect("it is a stamp");
            assert_eq!(stamp.epoch, epoch);
            assert_eq!(stamp.includes().collect::<Vec<_>>(), [(a, Offset::new(300)), (b, Offset::new(u64::MAX))]);
        }
    }

    #[test]
    fn the_stamp_of_one_input_is_small() {
        let mut includes = Includes::default();
        includes.add(InputId::of("events", "count"), Offset::new(1_000_000));
        assert_eq!(Stamp::written(3, &includes).len(), 8);
    }

    #[test]
    fn what_is_no_stamp_includes_nothing() {
        assert_eq!(Stamp::read(&[]), None);
        assert_eq!(Stamp::read(&[0xff; 20]), None);
        assert_eq!(Stamp::read(&[1, 2, 3]).map(|stamp| stamp.includes().count()), Some(0));
    }
}
