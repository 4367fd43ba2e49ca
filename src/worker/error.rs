use std::sync::Arc;

use marlowe_broker::BrokerError;
use marlowe_state::StoreError;

use crate::agent::EventFailure;
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
