//! The error of a program that cannot run as it is declared.

use std::sync::Arc;

/// The error of a program that cannot run as it is declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Topics that are read together have different numbers of partitions.
    #[error(
        "{} must have the same number of partitions, because {} share state by partition, but they do not: {}; give \
         them the same number, or put a `group_by` into one of the streams, whose topic gets the right number",
        list(.topics), list(.users), list(.counts)
    )]
    NotCopartitioned {
        /// The topics.
        topics: Vec<String>,
        /// The agents, timers and tables that tie them together.
        users: Vec<String>,
        /// The number of each, as "`orders` 8".
        counts: Vec<String>,
    },
    /// State is kept with another number of partitions than its topics have now.
    #[error(
        "the state of {} is kept in {was} partitions, and the number cannot change while the state is kept, because \
         keys would be in other partitions: {}, but {}; give them {was} again (Kafka cannot remove partitions: create \
         the topic again), or run `reset`, and the state is rebuilt from the input",
        list(.users), list(.kept), list(.wanted)
    )]
    PartitionsChanged {
        /// The agents, timers and tables that use the state.
        users: Vec<String>,
        /// The numbers that exist or are declared now: "`views` has 12".
        wanted: Vec<String>,
        /// The numbers of the topics that are kept: "`app-by-page-changelog` has 8".
        kept: Vec<String>,
        /// The number of partitions with which the state is kept.
        was: u32,
    },
    /// A topic exists with another number of partitions than it is declared with.
    #[error(
        "topic `{topic}` is declared with {declared} partitions and has {has}: declare {has}, or declare no number, \
         or create the topic again"
    )]
    OtherPartitions {
        /// The topic.
        topic: Arc<str>,
        /// The number that was declared.
        declared: u32,
        /// The number that it has.
        has: u32,
    },
    /// Two things of one kind have the same name.
    #[error(
        "there are two {kind}s named `{name}`: state is found by name, so each needs its own name: rename one of them"
    )]
    DuplicateName {
        /// The kind: "table", "agent" or "timer".
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// Two streams of one name come from different topics.
    #[error(
        "two streams are named `{name}`, one of `{first}` and one of `{second}`, but the topic that they share can \
         have only one source: give each its own name"
    )]
    RepartitionSources {
        /// The name.
        name: Arc<str>,
        /// The topic of the stream that was declared first.
        first: Arc<str>,
        /// The topic of the other stream.
        second: Arc<str>,
    },
    /// A partition timer uses no table's slice, so it is in no group.
    #[error(
        "partition_timer `{timer}` uses no table's slice, so there is no shard for it to run in: declare a table with \
         `.with(table)`, or use `timer`"
    )]
    TimerWithoutTable {
        /// The timer.
        timer: Arc<str>,
    },
    /// A topic would have two meanings.
    #[error("topic `{topic}` is {first}, and would also be {second}: rename one of the two")]
    TopicNameTaken {
        /// The topic.
        topic: Arc<str>,
        /// Its first meaning: "declared by the program".
        first: String,
        /// Its second meaning: "the changelog of table `stock`".
        second: String,
    },
    /// A name is longer than the name of a topic can be.
    #[error("{what} is called `{name}`, which has {length} characters, and a name has at most {limit}: {fix}")]
    NameTooLong {
        /// The thing with this name: "the changelog of table `stock`".
        what: String,
        /// The whole name.
        name: Arc<str>,
        /// The length of the name, in characters.
        length: usize,
        /// The longest length allowed, in characters.
        limit: usize,
        /// The part to shorten, and by how many characters.
        fix: String,
    },
    /// A name cannot be part of a topic's name.
    #[error(
        "{kind} name `{name}` cannot be part of a topic's name: use at least one of letters, digits, `.`, `_` and `-`, and no others"
    )]
    InvalidName {
        /// The kind: "app", "table", "agent", "timer" or "topic".
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// Something is declared with 0 partitions.
    #[error("{kind} `{name}` is declared with 0 partitions: it needs at least one")]
    NoPartitions {
        /// The kind: "app", "topic" or "table".
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// An agent or timer sends to the inbox of a table that has none.
    #[error(
        "{user} sends changes to table `{table}`, which is partition-local: its keys have no home partition, so there \
         is no owner to send to; write its rows in the shard, or declare it without `.partition_local()`"
    )]
    NoInbox {
        /// The agent or timer, as "agent `a`".
        user: String,
        /// The table.
        table: Arc<str>,
    },
    /// An agent that handles the stream itself has a sink, which nothing would reach.
    #[error(
        "agent `{agent}` handles the stream itself, so it returns no replies for its sink, topic `{topic}`: declare \
         `.with(topic)` and send from the handler, or use `.each(...)`"
    )]
    UnfedSink {
        /// The agent.
        agent: Arc<str>,
        /// The sink.
        topic: Arc<str>,
    },
    /// Dead letters lead back to their source.
    #[error(
        "an event that always fails would be sent in a circle forever: {}; let one of them send its dead letters to a \
         topic that does not lead back, or declare `.skip()`. To try such events again later, read the dead letters \
         with an agent whose handler sends them back",
        circle.join(", ")
    )]
    DeadLetterCircle {
        /// The steps of the event, in order: "agent `a` reads `orders` and sends what fails to
        /// `orders`".
        circle: Vec<String>,
    },
    /// A crontab cannot be read, or never fires.
    #[error("crontab `{name}`: {reason}")]
    Crontab {
        /// The crontab's name.
        name: Arc<str>,
        /// The reason.
        reason: String,
    },
    /// A number or a time is out of bounds.
    #[error("{what}: {reason}")]
    OutOfBounds {
        /// The setting: "the interval of timer `tick`".
        what: String,
        /// The reason, and a value that is allowed.
        reason: String,
    },
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
