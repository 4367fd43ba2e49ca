//! The parts of a program that functions belong to.

use super::callgrind::Function;

/// The part of a program that a function belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Client,
    Json,
    Allocator,
    Memory,
    Locks,
    Table,
    Agent,
    Worker,
    Reader,
    Program,
    Other,
}

impl Part {
    pub(crate) const ALL: [Part; 11] = [
        Part::Client,
        Part::Json,
        Part::Allocator,
        Part::Memory,
        Part::Locks,
        Part::Table,
        Part::Agent,
        Part::Worker,
        Part::Reader,
        Part::Program,
        Part::Other,
    ];

    /// Returns the part that a function belongs to, by its name and its source file.
    pub(crate) fn of(function: &Function) -> Self {
        let Function { file, name } = function;
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if file.contains("rdkafka-sys") || name.starts_with("rd_") || has(&["rd_kafka_"]) {
            Part::Client
        } else if file.contains("/malloc/") || has(&["rawvec", "RawVec", "__rust_alloc", "__rust_dealloc"]) {
            Part::Allocator
        } else if has(&["mem_cpy", "memcpy", "memmove", "memcmp", "memset", "memchr"]) {
            Part::Memory
        } else if file.contains("/nptl/") || has(&["pthread_", "lll_lock"]) {
            Part::Locks
        } else if has(&["serde", "from_utf8", "codec::json", "compact_str", "itoa", "parse_integer"]) {
            Part::Json
        } else if has(&["marlowe_state", "marlowe::table"]) {
            Part::Table
        } else if has(&["marlowe_kafka"]) {
            Part::Reader
        } else if has(&["marlowe::agent", "marlowe::shard", "marlowe::turn", "catch_unwind", "AssertUnwindSafe"]) {
            Part::Agent
        } else if has(&["marlowe::", "tokio"]) {
            Part::Worker
        } else if has(&["bare_peer", "marlowe_peer", "sip::Hasher", "hash_one"]) {
            Part::Program
        } else {
            Part::Other
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Part::Client => "librdkafka",
            Part::Json => "JSON (serde)",
            Part::Allocator => "allocator",
            Part::Memory => "copying and comparing bytes",
            Part::Locks => "locks of librdkafka's queues",
            Part::Table => "table: rows, layers, flush",
            Part::Agent => "agent: turn, transaction, handler",
            Part::Worker => "lane and commit",
            Part::Reader => "reader and producer on librdkafka",
            Part::Program => "the program's own loop and map",
            Part::Other => "all else",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Part;
    use crate::profile::callgrind::Function;

    #[test]
    fn functions_are_where_they_belong() {
        let part = |file: &str, name: &str| Part::of(&Function { file: file.into(), name: name.into() });
        assert_eq!(part("rdkafka-sys/out/src/rdbuf.c", "rd_slice_read"), Part::Client);
        assert_eq!(part("./malloc/./malloc/malloc.c", "_int_free"), Part::Allocator);
        assert_eq!(part("read.rs", "<serde_json::read::SliceRead as serde_json::read::Read>::parse_str"), Part::Json);
        assert_eq!(part("slice.rs", "marlowe_state::slice::Slice<K,V>::locate_owned"), Part::Table);
        assert_eq!(part("serial.rs", "marlowe::agent::serial::serial::{{closure}}"), Part::Agent);
        assert_eq!(part("lane.rs", "marlowe::worker::lane::Lane::next::{{closure}}"), Part::Worker);
        assert_eq!(part("lane.rs", "bare_peer::lane::State::take"), Part::Program);
    }
}
