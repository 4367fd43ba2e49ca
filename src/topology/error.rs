use std::sync::Arc;

/// A program that cannot run as declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Topics that are read together disagree on how many partitions there are.
    #[error(
        "{} must have the same number of partitions, for {} share state by partition, but they have not: {}; give them \
         the same number, or bring one of the streams through a `group_by`, whose topic gets the right number",
        list(.topics), list(.users), list(.counts)
    )]
    NotCopartitioned {
        /// The topics.
        topics: Vec<String>,
        /// The agents, timers and tables that tie them together.
        users: Vec<String>,
        /// What each has: "`orders` 8".
        counts: Vec<String>,
    },
    /// State was kept with another number of partitions than its topics have now.
    #[error(
        "the state of {} is kept in {was} partitions, and the number cannot change while it is kept, for keys would have \
         other homes: {}, but {}; give them {was} again (Kafka takes no partitions away: make the topic anew), or run \
         `reset`, and the state is built anew from the input",
        list(.users), list(.kept), list(.wanted)
    )]
    PartitionsChanged {
        /// The agents, timers and tables whose state it is.
        users: Vec<String>,
        /// What is there or declared now: "`views` has 12".
        wanted: Vec<String>,
        /// What was kept: "`app-by-page-changelog` has 8".
        kept: Vec<String>,
        /// The number that was kept with.
        was: u32,
    },
    /// A topic that is there with another number of partitions than it is declared with.
    #[error(
        "topic `{topic}` is declared with {declared} partitions and has {has}: declare {has}, or no number, or make the \
         topic anew"
    )]
    OtherPartitions {
        /// The topic.
        topic: Arc<str>,
        /// The number that was declared.
        declared: u32,
        /// The number that it has.
        has: u32,
    },
    /// A name that is used twice.
    #[error("there are two {kind}s named `{name}`: names are how state is found again, so each needs one of its own")]
    DuplicateName {
        /// Table, agent or timer.
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// Two streams of one name that come from different topics.
    #[error(
        "two streams are named `{name}`, one of `{first}` and one of `{second}`, but the topic they share has one source: give \
         each a name of its own"
    )]
    RepartitionSources {
        /// The name.
        name: Arc<str>,
        /// The topic of the stream that was declared first.
        first: Arc<str>,
        /// The topic of the other.
        second: Arc<str>,
    },
    /// A partition timer that is in no group.
    #[error(
        "partition_timer `{timer}` uses no table's slice, so there is no shard for it to run in: declare a table with \
         `.with(table)`, or use `timer`"
    )]
    TimerWithoutTable {
        /// The timer.
        timer: Arc<str>,
    },
    /// A topic that would have two meanings.
    #[error("topic `{topic}` is {first}, and would be {second} as well: rename one of the two")]
    TopicNameTaken {
        /// The topic.
        topic: Arc<str>,
        /// What it is: "declared by the program".
        first: String,
        /// What it would be, too: "the changelog of table `stock`".
        second: String,
    },
    /// A name that is longer than a topic's name can be.
    #[error("{what} is called `{name}`, which has {length} characters, and a name has at most {limit}: {mend}")]
    NameTooLong {
        /// What is called so: "the changelog of table `stock`".
        what: String,
        /// The whole name.
        name: Arc<str>,
        /// How many characters it has.
        length: usize,
        /// How many it may have.
        limit: usize,
        /// What to shorten.
        mend: String,
    },
    /// A name that cannot be part of a topic's name.
    #[error(
        "{kind} name `{name}` cannot be part of a topic's name: use at least one of letters, digits, `.`, `_` and `-`, and no others"
    )]
    InvalidName {
        /// App, table, agent, timer or topic.
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// Something that was declared without partitions.
    #[error("{kind} `{name}` is declared with 0 partitions: it needs at least one")]
    NoPartitions {
        /// App, topic or table.
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// Something sends to the inbox of a table that has none.
    #[error(
        "{user} sends changes to table `{table}`, which is partition-local: its keys have no home, so there is no owner to \
         send to; write its rows in the shard, or declare it without `.partition_local()`"
    )]
    NoInbox {
        /// The agent or timer: "agent `a`".
        user: String,
        /// The table.
        table: Arc<str>,
    },
    /// A sink of an agent that handles the stream itself.
    #[error(
        "agent `{agent}` handles the stream itself, so it returns nothing that could go to its sink, topic `{topic}`: declare \
         `.with(topic)` and send from the handler, or use `.each(...)`"
    )]
    UnfedSink {
        /// The agent.
        agent: Arc<str>,
        /// The sink.
        topic: Arc<str>,
    },
    /// Dead letters that lead back to where they came from.
    #[error(
        "an event that fails every time would go round for ever: {}; let one of them send its dead letters to a topic that \
         does not lead back, or `.skip()` them. To try such events again later, read the dead letters with an agent that \
         sends them back from its handler",
        circle.join(", ")
    )]
    DeadLetterCircle {
        /// The ways that the event takes, in order: "agent `a` reads `orders` and sends what fails to `orders`".
        circle: Vec<String>,
    },
    /// A crontab that cannot be read, or names no time.
    #[error("crontab `{name}`: {reason}")]
    Crontab {
        /// The crontab's name.
        name: Arc<str>,
        /// What is wrong with it.
        reason: String,
    },
    /// A number or a time that cannot be meant.
    #[error("{what}: {reason}")]
    OutOfBounds {
        /// What it is of: "the interval of timer `tick`".
        what: String,
        /// What is wrong with it, and what to use.
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
