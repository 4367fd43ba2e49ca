//! Waiting for the end of a thread, or of the task that replaces a thread in a simulation.

/// The handle of a thread that was started, or of a task in its place.
pub(crate) enum Join {
    Thread(std::thread::JoinHandle<()>),
    #[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "only a simulation has tasks for threads"))]
    Task(tokio::task::JoinHandle<()>),
}

impl Join {
    /// Waits until all of these have ended. A thread ends when the last
    /// [`Thread`](crate::threads::Thread) handle to it is dropped, so drop the handles first.
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

    /// Ends it now: waits for a thread, to which the last handle must be dropped before, and aborts
    /// a task.
    pub(crate) fn now(self) {
        match self {
            Join::Thread(join) => drop(join.join()),
            Join::Task(join) => join.abort(),
        }
    }
}
