//! The errors with which a program does not start, or stops: [`RunError`] and [`EventFailure`].
//! Also the error of a handler.

use std::sync::Arc;

use marlowe_broker::{BrokerError, Offset, Partition, TopicPartition};
use marlowe_state::StoreError;

use crate::topology::TopologyError;

/// The reason why a program did not start, or stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The program cannot run as declared.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// An event failed, and its agent's policy is to stop.
    #[error(transparent)]
    Event(#[from] EventFailure),
    /// The broker refused or could not be reached.
    #[error("{doing}: {source}")]
    Broker {
        /// The operation that failed.
        doing: String,
        /// The broker's error.
        source: BrokerError,
    },
    /// Records of an input were removed before they were read.
    #[error(
        "{} records of {partition}, the offsets from {from} up to {to}, were removed before this app read them: {fix}",
        from.distance_to(*to)
    )]
    Expired {
        /// The partition.
        partition: TopicPartition,
        /// The first offset that was not read.
        from: Offset,
        /// The first offset that still exists.
        to: Offset,
        /// The action to take.
        fix: &'static str,
    },
    /// A store failed.
    #[error("{doing}: {source}")]
    Store {
        /// The operation that failed.
        doing: String,
        /// The store's error.
        source: Arc<StoreError>,
    },
    /// Another process uses the folder of a worker's tables.
    #[error(
        "the folder of tables {folder} is in use by another process{}: stop that one, or give this one another --data-dir",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    FolderInUse {
        /// The folder.
        folder: String,
        /// The process id of the other process, if it is known.
        holder: Option<u32>,
    },
    /// The embedded broker of a data folder is lost or damaged. Nothing in the folder was changed.
    #[error(
        "the data folder {folder} {found}: put the broker's folder back, or restore it from a backup; or start \
         without records and rows with --set-aside, which moves what is left to a subfolder; or choose another \
         --data-dir"
    )]
    LostBroker {
        /// The folder.
        folder: String,
        /// The state in which it was found.
        found: String,
    },
    /// The data folder belongs to another app or to another broker. Nothing in it was changed.
    #[error("the data folder {folder} {found}: {ways_on}")]
    DataFolder {
        /// The folder.
        folder: String,
        /// The state in which it was found.
        found: String,
        /// The possible actions.
        ways_on: &'static str,
    },
    /// A table's changelog, or a change that waits for a commit, does not decode or encode.
    #[error("{doing}: {reason}")]
    Codec {
        /// The operation that failed.
        doing: String,
        /// The reason.
        reason: String,
    },
    /// A topic exists, but differs from what the program needs.
    #[error("topic `{topic}` exists, but {found} where {wanted} is needed: {fix}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// The property that it has.
        found: String,
        /// The property that it should have.
        wanted: String,
        /// The action to take.
        fix: String,
    },
    /// A topic that Marlowe needs for the program belongs to another app.
    #[error(
        "topic `{topic}` is an internal topic of app `{owner}`, and app `{app}` would have one of the same name, as \
         {what}: rename the part of this app that it is named after, or this app; or, if app `{owner}` is not needed \
         any more, run its `reset`"
    )]
    TopicOwned {
        /// The topic.
        topic: Arc<str>,
        /// The purpose that it would have: "the changelog of table `stock`".
        what: String,
        /// The app that was refused.
        app: Arc<str>,
        /// The app that has it.
        owner: Arc<str>,
    },
    /// A table cannot be filled with the rows of a Faust app.
    #[error("table `{table}` cannot be taken over from `{from}`: {reason}")]
    TakeOver {
        /// The table.
        table: Arc<str>,
        /// The topic of the Faust app, or the app.
        from: Arc<str>,
        /// The reason, and the action to take.
        reason: String,
    },
    /// A task or source failed.
    #[error("{name} failed: {reason}")]
    Task {
        /// Its name.
        name: Arc<str>,
        /// The reason.
        reason: String,
    },
    /// A thread panicked. This is a defect of Marlowe, or of code of the program that runs outside
    /// of any event (a `Drop`, a `Clock`, a broker of its own).
    #[error(
        "thread `{thread}` panicked{place}: {reason}; the worker stops, and what was not committed is done again at \
         the next start. If the place is not in your code, report it as a bug of Marlowe"
    )]
    Panicked {
        /// The name of the thread.
        thread: Arc<str>,
        /// The place in the source, beginning with ` at `. Empty if the place is not known.
        place: String,
        /// The message of the panic.
        reason: String,
    },
    /// The web server cannot listen.
    #[error("the web server cannot listen on {address}: {reason}")]
    Web {
        /// The address.
        address: String,
        /// The reason, and the action to take.
        reason: String,
    },
    /// Routes that the program added conflict with the built-in ones or with each other.
    #[error(
        "the routes of the program's web closure number {number} cannot be added: {reason}; correct this closure (the \
         calls of `App::web` are counted from 1). If the reason names a path: a path can be added only once, and \
         every worker already serves {built_in}"
    )]
    Routes {
        /// The number of the call of [`App::web`](crate::App::web), from 1.
        number: usize,
        /// The reason.
        reason: String,
        /// The paths of the built-in routes.
        built_in: &'static str,
    },
    /// The settings contain an invalid value.
    #[error("{0}")]
    Settings(String),
    /// The system refused a thread, a signal handler or a folder.
    #[error("cannot {doing}: {reason}")]
    System {
        /// The operation that failed.
        doing: String,
        /// The system's error.
        reason: String,
    },
}

impl RunError {
    pub(crate) fn broker(doing: impl Into<String>) -> impl FnOnce(BrokerError) -> RunError {
        let doing = doing.into();
        move |source| RunError::Broker { doing, source }
    }

    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(StoreError) -> RunError {
        let doing = doing.into();
        move |source| RunError::Store { doing, source: Arc::new(source) }
    }
}

/// An event that an agent could not handle, and that stops the worker.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "agent `{agent}` failed on {topic}[{partition}]@{offset} (tried {tries} time(s)): {reason}; nothing of it was applied and \
     nothing is lost: the event comes first when the worker starts again. Fix the handler, or let the agent `.skip()` such events or \
     send them to a `.dead_letter(topic)`; or skip this one: stop all workers, and run the program with `skip {topic} {partition} {offset}`"
)]
pub struct EventFailure {
    /// The agent.
    pub agent: Arc<str>,
    /// The event's topic.
    pub topic: Arc<str>,
    /// The event's partition.
    pub partition: Partition,
    /// The event's offset.
    pub offset: Offset,
    /// The number of attempts.
    pub tries: u32,
    /// The reason why the last attempt failed.
    pub reason: String,
}

/// The error of a failed handler. It can be any error, and `?` converts most.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;
