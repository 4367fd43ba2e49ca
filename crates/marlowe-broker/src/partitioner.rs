//! The hash functions with which Kafka clients choose a record's partition from its key.

use crate::Partition;

/// The rule that chooses a partition from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Partitioner {
    /// The default of Kafka's Java clients, Kafka Streams and Faust:
    /// `(murmur2(key) & 0x7fffffff) % partitions`.
    #[default]
    Murmur2,
    /// The default of librdkafka, and so of many Python, Go and .NET producers:
    /// `crc32(key) % partitions`.
    Crc32,
    /// The default of Sarama and Goka: 32-bit FNV-1a, made positive.
    Fnv1a,
}

impl Partitioner {
    /// All partitioners.
    pub const ALL: [Partitioner; 3] = [Partitioner::Murmur2, Partitioner::Crc32, Partitioner::Fnv1a];

    /// Returns the partition of `key` in a topic with `partitions` partitions.
    ///
    /// # Panics
    /// When `partitions` is 0.
    #[inline]
    pub fn partition(self, key: &[u8], partitions: u32) -> Partition {
        assert!(partitions > 0, "a topic has at least one partition");
        Partition::new(match self {
            Partitioner::Murmur2 => (murmur2(key) & 0x7fff_ffff) % partitions,
            Partitioner::Crc32 => crc32(key) % partitions,
            Partitioner::Fnv1a => {
                // As in Sarama: the remainder of a signed number, without its sign.
                let hash = fnv1a(key) as i32;
                (hash % partitions as i32).unsigned_abs()
            }
        })
    }

    /// Returns the partitioner's name as Kafka's settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Partitioner::Murmur2 => "murmur2",
            Partitioner::Crc32 => "crc32",
            Partitioner::Fnv1a => "fnv1a",
        }
    }
}

impl std::fmt::Display for Partitioner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the MurmurHash2 of `bytes` with Kafka's seed, as
/// `org.apache.kafka.common.utils.Utils.murmur2` does.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Returns the CRC-32 (IEEE) of `bytes`, as zlib does.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the values of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_kafka() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    /// Checks the test values of the catalogue of CRCs and of the FNV specification.
    #[test]
    fn crc32_and_fnv1a_agree_with_their_specifications() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }
}
