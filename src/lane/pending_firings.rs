//! The requests to fire a lane's partition timers once more that are not answered yet.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

/// The requests to fire the timers of a lane's shards once more.
#[derive(Default)]
pub(crate) struct Firings(Vec<Firing>);

/// One request: the timers that fire together, and the caller that waits for them.
struct Firing {
    fired: LocalBoxFuture<'static, ()>,
    done: Option<oneshot::Sender<()>>,
}

impl Firings {
    /// Begins to wait for the shards in `asked` to fire.
    pub(crate) fn begin(&mut self, asked: Vec<oneshot::Receiver<()>>, done: oneshot::Sender<()>) {
        let fired = Box::pin(async move {
            for fired in asked {
                // A shard that was closed in the meantime does not fire any more.
                let _ = fired.await;
            }
        });
        self.0.push(Firing { fired, done: Some(done) });
    }

    /// Waits until the timers of the oldest request have fired, or forever if there is none.
    pub(crate) async fn fired(&mut self) {
        match self.0.first_mut() {
            Some(firing) => {
                (&mut firing.fired).await;
                firing.fired = Box::pin(std::future::ready(()));
            }
            None => std::future::pending().await,
        }
    }

    /// Answers the requests whose timers have fired.
    pub(crate) fn answer(&mut self) {
        self.0.retain_mut(|firing| {
            let fired = (&mut firing.fired).now_or_never().is_some();
            if fired && let Some(done) = firing.done.take() {
                let _ = done.send(());
            }
            firing.done.is_some()
        });
    }
}
