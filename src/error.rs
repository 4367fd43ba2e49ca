use std::sync::Arc;

use marlowe_broker::{BrokerError, Offset, Partition, TopicPartition};
use marlowe_state::StoreError;

use crate::topology::TopologyError;

/// Why a program did not start, or stopped.
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
        /// What was being done.
        doing: String,
        /// What the broker said.
        source: BrokerError,
    },
    /// Records of an input were removed before they were read.
    #[error(
        "{} records of {partition}, the offsets from {from} up to {to}, were removed before this app has read them: {mend}",
        from.distance_to(*to)
    )]
    Expired {
        /// The partition.
        partition: TopicPartition,
        /// The first that was not read.
        from: Offset,
        /// The first that is there.
        to: Offset,
        /// What to do.
        mend: &'static str,
    },
    /// A store refused.
    #[error("{doing}: {source}")]
    Store {
        /// What was being done.
        doing: String,
        /// What the store said.
        source: Arc<StoreError>,
    },
    /// Another process has the folder of a worker's tables.
    #[error(
        "the folder of tables {folder} is in use by another process{}: stop that one, or give this one another --data-dir",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    FolderInUse {
        /// The folder.
        folder: String,
        /// The other's process id, when it is known.
        holder: Option<u32>,
    },
    /// The embedded broker of a data folder is lost or damaged. Nothing in the folder was changed.
    #[error(
        "the data folder {folder} {found}: put the broker's folder back, from a copy if need be; or begin without records and \
         rows with --set-aside, which moves all that is left to a folder of its own; or choose another --data-dir"
    )]
    LostBroker {
        /// The folder.
        folder: String,
        /// What was found.
        found: String,
    },
    /// The data folder is not the app's, or not for this broker. Nothing in it was changed.
    #[error("the data folder {folder} {found}: {ways_on}")]
    DataFolder {
        /// The folder.
        folder: String,
        /// What was found.
        found: String,
        /// What can be done.
        ways_on: &'static str,
    },
    /// A table's changelog, or what waits for a commit, does not encode or decode.
    #[error("{doing}: {reason}")]
    Codec {
        /// What was being done.
        doing: String,
        /// Why it failed.
        reason: String,
    },
    /// A topic is there, but not as the program needs it.
    #[error("topic `{topic}` exists, but {found} where {wanted} is needed: {mend}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
        /// What to do.
        mend: String,
    },
    /// A topic that Marlowe needs for the program is another app's.
    #[error(
        "topic `{topic}` is an internal topic of app `{owner}`, and app `{app}` would have one of the same name, as {what}: \
         rename what it is named after, or the app; or if app `{owner}` is not needed any more, run its `reset`"
    )]
    TopicOwned {
        /// The topic.
        topic: Arc<str>,
        /// What it would be: "the changelog of table `stock`".
        what: String,
        /// The app that was refused.
        app: Arc<str>,
        /// The app that has it.
        owner: Arc<str>,
    },
    /// A table cannot begin with the rows of a Faust app's.
    #[error("table `{table}` cannot be taken over from `{from}`: {reason}")]
    TakeOver {
        /// The table.
        table: Arc<str>,
        /// The Faust app's topic, or the app.
        from: Arc<str>,
        /// Why, and what to do.
        reason: String,
    },
    /// A task or source failed.
    #[error("{name} failed: {reason}")]
    Task {
        /// Its name.
        name: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A thread panicked, which is a defect: of Marlowe, or of code of the program that runs where no event can take the
    /// blame for it (a `Drop`, a `Clock`, a broker of its own).
    #[error(
        "thread `{thread}` panicked{place}: {reason}; the worker stops, and what was not committed is done again at the next \
         start. If the place is not in code of yours, report it as a defect of Marlowe"
    )]
    Panicked {
        /// The thread.
        thread: Arc<str>,
        /// Where in the source, beginning with ` at `, or nothing where that was not noted.
        place: String,
        /// What the panic said.
        reason: String,
    },
    /// The web server cannot listen.
    #[error("the web server cannot listen on {address}: {reason}")]
    Web {
        /// Where.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Routes that the program added cannot be served beside the built-in ones.
    #[error(
        "the routes of the program's web closure number {number} do not fit: {reason}; choose other paths (every worker serves \
         {built_in} itself, and a path can be added once)"
    )]
    Routes {
        /// Which call of [`App::web`](crate::App::web), from 1.
        number: usize,
        /// Why.
        reason: String,
        /// The paths that are taken.
        built_in: &'static str,
    },
    /// Something that the settings say cannot be.
    #[error("{0}")]
    Settings(String),
    /// The system refused a thread, a signal handler or a folder.
    #[error("cannot {doing}: {reason}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
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
     nothing is lost: the event comes first when the worker starts again. Mend the handler, or let the agent `.skip()` such events or \
     send them to a `.dead_letter(topic)`; or pass over this one: stop all workers, and run the program with `skip {topic} {partition} {offset}`"
)]
pub struct EventFailure {
    /// The agent.
    pub agent: Arc<str>,
    /// The event's topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// How often it was tried.
    pub tries: u32,
    /// Why it failed the last time.
    pub reason: String,
}
