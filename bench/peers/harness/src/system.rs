use clap::ValueEnum;
use serde::Serialize;

use crate::work::{Job, Store, Work};

/// A system that takes part. What the harness knows of each is here; how its program is built is in `build`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// librdkafka and a `HashMap`: the limit.
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

/// How keys and counts are written in a changelog.
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

/// Which record of a key is its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// The last one.
    Last,
    /// The highest one: every partition has a record of the key, and one of them is right.
    Highest,
}

impl System {
    pub(crate) const ALL: [System; 6] =
        [System::Bare, System::Marlowe, System::KafkaStreams, System::Goka, System::Faust, System::Quix];

    /// Its name, which is its folder's.
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

    /// Its name for people.
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

    /// How many events it is given in a job: some seconds' work. On the JVM many of them go by before its code is compiled.
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

    /// Events a second that any of its workers carries easily, for trials at a steady rate.
    pub(crate) fn easy_rate(self) -> u64 {
        match self {
            System::Faust => 200,
            _ => 2000,
        }
    }

    /// The sizes of its cache that are tried, in megabytes; the report has the better one.
    pub(crate) fn caches(self, job: Job) -> &'static [u32] {
        match self {
            // A large cache costs it more than it saves where most keys are new.
            System::KafkaStreams if job == Job::Count => &[0, 10],
            _ => &[10],
        }
    }

    /// Into how many processes, and threads of each, the work of so many cores goes.
    pub(crate) fn processes(self, cores: usize) -> (usize, usize) {
        match self {
            System::Faust | System::Quix => (cores, 1),
            _ => (1, cores),
        }
    }

    /// Where its rows are in a work: what is not about stores is done with the one that it has.
    pub(crate) fn store(self, work: &Work) -> Store {
        match self {
            System::Quix if !work.job.is_about_stores() => Store::Disk,
            _ => work.store,
        }
    }

    /// Why it cannot take part in a trial of the harness, if so.
    pub(crate) fn not_possible(self, work: &Work) -> Option<&'static str> {
        match (self, work.job) {
            (System::Bare, Job::Failover) => Some("a bare loop has no group: nobody takes its partitions over"),
            _ => None,
        }
    }

    /// How its changelogs are written.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            System::Bare | System::Marlowe | System::Goka => Encoding::Plain,
            System::KafkaStreams => Encoding::BigEndian,
            System::Faust => Encoding::Quoted,
            System::Quix => Encoding::Family,
        }
    }

    /// Which record of a key counts.
    pub(crate) fn winner(self, job: Job) -> Winner {
        match (self, job) {
            (System::Faust, Job::Total) => Winner::Highest,
            _ => Winner::Last,
        }
    }

    /// The changelog of `counts` for `group` and the topic `events`: where it is made by the harness, for a restore.
    pub(crate) fn changelog(self, group: &str, events: &str) -> String {
        match self {
            System::Goka => format!("{group}-table"),
            System::Quix => format!("changelog__{group}--{events}--default"),
            _ => format!("{group}-counts-changelog"),
        }
    }

    /// Whether `topic` is a changelog of `group` in which the job's answer is.
    pub(crate) fn is_changelog(self, topic: &str, group: &str, job: Job) -> bool {
        let table = if job == Job::Total { "total" } else { "counts" };
        match self {
            System::Goka => topic == format!("{group}-table"),
            System::Quix => topic.starts_with(&format!("changelog__{group}--")),
            _ => topic == format!("{group}-{table}-changelog"),
        }
    }

    /// Whether `topic`, which is one of the group's, lies between two stages of a job.
    pub(crate) fn is_between(topic: &str) -> bool {
        let between = ["repartition", "-inbox", "-loop"].iter().any(|name| topic.contains(name));
        between && !topic.contains("changelog")
    }

    /// The file that says which version it is, below its folder, and the text before the version.
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
    /// A key in a changelog, and its text; `None` for a record that is not a row.
    pub(crate) fn decode_key(self, key: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(key).ok()?;
        // Marlowe's notes to itself.
        if text.starts_with('\0') {
            return None;
        }
        match self {
            Encoding::Plain | Encoding::BigEndian => Some(text.to_owned()),
            Encoding::Quoted => Some(text.trim_matches('"').to_owned()),
            Encoding::Family => Some(text.strip_suffix("|\"count\"")?.trim_matches('"').to_owned()),
        }
    }

    /// A count in a changelog.
    pub(crate) fn decode_count(self, value: &[u8]) -> Option<u64> {
        match self {
            Encoding::BigEndian => value.try_into().ok().map(u64::from_be_bytes),
            _ => std::str::from_utf8(value).ok()?.parse().ok(),
        }
    }

    /// A key, as its changelog has it.
    pub(crate) fn encode_key(self, key: &str) -> Vec<u8> {
        match self {
            Encoding::Plain | Encoding::BigEndian => key.as_bytes().to_vec(),
            Encoding::Quoted => format!("\"{key}\"").into_bytes(),
            Encoding::Family => format!("\"{key}\"|\"count\"").into_bytes(),
        }
    }

    /// A count, as its changelog has it.
    pub(crate) fn encode_count(self, count: u64) -> Vec<u8> {
        match self {
            Encoding::BigEndian => count.to_be_bytes().to_vec(),
            _ => count.to_string().into_bytes(),
        }
    }

    /// A header that each record has besides.
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
    fn what_is_written_is_read() {
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
