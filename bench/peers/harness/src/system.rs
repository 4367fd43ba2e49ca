//! The systems that take part, with everything that the harness knows of each.

use clap::ValueEnum;
use serde::Serialize;

use crate::work::{Job, Store, Work};

/// A system that takes part. `build` knows how its program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// A loop on librdkafka with a `HashMap`, which is the limit.
    Bare,
    /// This library.
    Marlowe,
    /// Kafka Streams, on the JVM.
    KafkaStreams,
    /// Goka, in Go.
    Goka,
    /// Faust, in Python.
    Faust,
    /// Quix Streams, in Python.
    Quix,
}

/// The encoding of keys and counts in a changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The key as it is, the count in decimal digits.
    Plain,
    /// The key as it is, the count in eight bytes, big-endian.
    BigEndian,
    /// The key in quotes, the count in decimal digits.
    Quoted,
    /// The key in quotes, then `|"count"`; the count in decimal digits.
    Family,
}

/// The record of a key that holds its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// The last record.
    Last,
    /// The record with the highest count. Every partition has a record of the key, and one of them
    /// is right.
    Highest,
}

impl System {
    pub(crate) const ALL: [System; 6] =
        [System::Bare, System::Marlowe, System::KafkaStreams, System::Goka, System::Faust, System::Quix];

    /// Returns the name, which is also the name of its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Bare => "bare",
            System::Marlowe => "marlowe",
            System::KafkaStreams => "kafka-streams",
            System::Goka => "goka",
            System::Faust => "faust",
            System::Quix => "quix",
        }
    }

    /// Returns the name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            System::Bare => "bare loop",
            System::Marlowe => "Marlowe",
            System::KafkaStreams => "Kafka Streams",
            System::Goka => "Goka",
            System::Faust => "Faust",
            System::Quix => "Quix Streams",
        }
    }

    /// Returns the number of events for a job, which take some seconds. On the JVM, many of them
    /// are processed before its code is compiled.
    pub(crate) fn events(self, job: Job, scale: f64) -> u64 {
        let all = match self {
            System::Bare | System::Marlowe => 6_000_000,
            System::KafkaStreams => 3_000_000,
            System::Goka => 1_500_000,
            System::Quix => 600_000,
            System::Faust => 30_000,
        };
        let share = if job.has_second_stage() { 3 } else { 1 };
        (all as f64 * scale) as u64 / share
    }

    /// Returns the events per second that each worker of the system carries easily, for trials at a
    /// steady rate.
    pub(crate) fn easy_rate(self) -> u64 {
        match self {
            System::Faust => 200,
            _ => 2000,
        }
    }

    /// Returns the cache sizes to try, in megabytes. The report has the better one.
    pub(crate) fn caches(self, job: Job) -> &'static [u32] {
        match self {
            // Where most keys are new, a large cache costs more than it saves.
            System::KafkaStreams if job == Job::Count => &[0, 10],
            _ => &[10],
        }
    }

    /// Returns the number of processes, and of threads in each, that use `cores` cores.
    pub(crate) fn processes(self, cores: usize) -> (usize, usize) {
        match self {
            System::Faust | System::Quix => (cores, 1),
            _ => (1, cores),
        }
    }

    /// Returns where the system keeps rows in a work. A work that is not about stores takes the
    /// store that the system has.
    pub(crate) fn store(self, work: &Work) -> Store {
        match self {
            System::Quix if !work.job.is_about_stores() => Store::Disk,
            _ => work.store,
        }
    }

    /// Returns the reason why the system cannot take part in a trial, if there is one.
    pub(crate) fn not_possible(self, work: &Work) -> Option<&'static str> {
        match (self, work.job) {
            (System::Bare, Job::Failover) => Some("a bare loop has no group: nobody takes its partitions over"),
            _ => None,
        }
    }

    /// Returns the encoding of its changelogs.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            System::Bare | System::Marlowe | System::Goka => Encoding::Plain,
            System::KafkaStreams => Encoding::BigEndian,
            System::Faust => Encoding::Quoted,
            System::Quix => Encoding::Family,
        }
    }

    /// Returns which record of a key counts.
    pub(crate) fn winner(self, job: Job) -> Winner {
        match (self, job) {
            (System::Faust, Job::Total) => Winner::Highest,
            _ => Winner::Last,
        }
    }

    /// Returns the changelog of `counts`, for `group` and the topic `events`, into which the
    /// harness writes for a restore.
    pub(crate) fn changelog(self, group: &str, events: &str) -> String {
        match self {
            System::Goka => format!("{group}-table"),
            System::Quix => format!("changelog__{group}--{events}--default"),
            _ => format!("{group}-counts-changelog"),
        }
    }

    /// Returns whether `topic` is a changelog of `group` with the job's answer.
    pub(crate) fn is_changelog(self, topic: &str, group: &str, job: Job) -> bool {
        let table = if job == Job::Total { "total" } else { "counts" };
        match self {
            System::Goka => topic == format!("{group}-table"),
            System::Quix => topic.starts_with(&format!("changelog__{group}--")),
            _ => topic == format!("{group}-{table}-changelog"),
        }
    }

    /// Returns whether `topic`, a topic of the group, lies between two stages of a job.
    pub(crate) fn is_between(topic: &str) -> bool {
        let between = ["repartition", "-inbox", "-loop"].iter().any(|name| topic.contains(name));
        between && !topic.contains("changelog")
    }

    /// Returns the file in the system's folder that contains its version, and the text before the
    /// version.
    pub(crate) fn version_at(self) -> Option<(&'static str, &'static str)> {
        match self {
            System::Bare | System::Marlowe => None,
            System::KafkaStreams => Some(("pom.xml", "<artifactId>kafka-streams</artifactId>\n      <version>")),
            System::Goka => Some(("go.mod", "github.com/lovoo/goka v")),
            System::Faust => Some(("requirements.txt", "faust-streaming==")),
            System::Quix => Some(("requirements.txt", "quixstreams==")),
        }
    }
}

impl Encoding {
    /// Decodes a key of a changelog. Returns `None` for a record that is not a row.
    pub(crate) fn decode_key(self, key: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(key).ok()?;
        // These are Marlowe's own notes.
        if text.starts_with('\0') {
            return None;
        }
        match self {
            Encoding::Plain | Encoding::BigEndian => Some(text.to_owned()),
            Encoding::Quoted => Some(text.trim_matches('"').to_owned()),
            Encoding::Family => Some(text.strip_suffix("|\"count\"")?.trim_matches('"').to_owned()),
        }
    }

    /// Decodes a count of a changelog.
    pub(crate) fn decode_count(self, value: &[u8]) -> Option<u64> {
        match self {
            Encoding::BigEndian => value.try_into().ok().map(u64::from_be_bytes),
            _ => std::str::from_utf8(value).ok()?.parse().ok(),
        }
    }

    /// Encodes a key for a changelog.
    pub(crate) fn encode_key(self, key: &str) -> Vec<u8> {
        match self {
            Encoding::Plain | Encoding::BigEndian => key.as_bytes().to_vec(),
            Encoding::Quoted => format!("\"{key}\"").into_bytes(),
            Encoding::Family => format!("\"{key}\"|\"count\"").into_bytes(),
        }
    }

    /// Encodes a count for a changelog.
    pub(crate) fn encode_count(self, count: u64) -> Vec<u8> {
        match self {
            Encoding::BigEndian => count.to_be_bytes().to_vec(),
            _ => count.to_string().into_bytes(),
        }
    }

    /// Returns the header that each record also needs, if there is one.
    pub(crate) fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Encoding::Family => Some(("__column_family__", "default")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, System};

    #[test]
    fn keys_and_counts_decode_as_they_were_encoded() {
        for encoding in System::ALL.map(System::encoding) {
            let (key, count) = (encoding.encode_key("page-0000001"), encoding.encode_count(259));
            assert_eq!(encoding.decode_key(&key).as_deref(), Some("page-0000001"), "{encoding:?}");
            assert_eq!(encoding.decode_count(&count), Some(259), "{encoding:?}");
        }
    }

    #[test]
    fn only_rows_of_families_are_rows() {
        assert_eq!(Encoding::Family.decode_key(b"\"user-0001\"|\"count\"").as_deref(), Some("user-0001"));
        assert_eq!(Encoding::Family.decode_key(b"__offset"), None);
    }

    #[test]
    fn notes_are_no_rows() {
        assert_eq!(Encoding::Plain.decode_key(b"\0marlowe-epoch"), None);
    }
}
