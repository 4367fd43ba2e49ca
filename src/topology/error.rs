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
    /// A name that cannot be part of a topic's name.
    #[error("{kind} name `{name}` has characters that topic names cannot have: use letters, digits, `.`, `_` and `-`")]
    InvalidName {
        /// App, table, agent, timer or topic.
        kind: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// A table that was declared with more or fewer partitions than it has.
    #[error("{kind} `{name}` is declared with 0 partitions: it needs at least one")]
    NoPartitions {
        /// Topic or table.
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
    /// A crontab that cannot be read.
    #[error("crontab `{name}`: {reason}")]
    Crontab {
        /// The crontab's name.
        name: Arc<str>,
        /// What is wrong with it.
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
