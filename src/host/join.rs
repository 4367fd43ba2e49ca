//! The end of a thread, to be waited for.

/// A thread that was started, or a task that stands for one.
pub(crate) enum Join {
    Thread(std::thread::JoinHandle<()>),
    #[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "only a simulation has tasks for threads"))]
    Task(tokio::task::JoinHandle<()>),
}

impl Join {
    /// Waits for the end of all of these, whose handles are gone.
    pub(crate) async fn all(joins: Vec<Join>) {
        let mut threads = Vec::new();
        for join in joins {
            match join {
                Join::Thread(join) => threads.push(join),
                Join::Task(join) => drop(join.await),
            }
        }
        if !threads.is_empty() {
            let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|join| drop(join.join())));
            let _ = joined.await;
        }
    }

    /// Ends it now: waits for a thread whose handles are gone, and drops what a task runs.
    pub(crate) fn now(self) {
        match self {
            Join::Thread(join) => drop(join.join()),
            Join::Task(join) => join.abort(),
        }
    }
}
