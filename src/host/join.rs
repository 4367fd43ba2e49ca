//! Waiting for the end of a thread.

use futures_util::future::BoxFuture;

/// A thread that was started, or what stands for one on another host. It ends when the last
/// [`Thread`](crate::threads::Thread) handle to it is dropped, so drop the handles first.
pub(crate) trait Started: Send {
    /// Waits until it has ended.
    fn wait(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// Ends it now, and blocks until it has ended.
    fn end(self: Box<Self>);
}

/// The end of a thread, to be waited for.
pub(crate) struct Join(Box<dyn Started>);

impl Join {
    pub(crate) fn of(started: impl Started + 'static) -> Self {
        Self(Box::new(started))
    }

    /// Waits until all of these have ended.
    pub(crate) async fn all(joins: Vec<Join>) {
        for join in joins {
            join.0.wait().await;
        }
    }

    /// Ends it now.
    pub(crate) fn now(self) {
        self.0.end();
    }
}

impl Started for std::thread::JoinHandle<()> {
    fn wait(self: Box<Self>) -> BoxFuture<'static, ()> {
        let joined = tokio::task::spawn_blocking(move || drop(self.join()));
        Box::pin(async move { drop(joined.await) })
    }

    fn end(self: Box<Self>) {
        drop(self.join());
    }
}
