use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

/// Timers of a lane's shards that fire once more.
#[derive(Default)]
pub(crate) struct Firings(Vec<Firing>);

/// Some that fire together, and who waits for them.
struct Firing {
    fired: LocalBoxFuture<'static, ()>,
    done: Option<oneshot::Sender<()>>,
}

impl Firings {
    /// Waits for the shards that were asked to fire.
    pub(crate) fn begin(&mut self, asked: Vec<oneshot::Receiver<()>>, done: oneshot::Sender<()>) {
        let fired = Box::pin(async move {
            for fired in asked {
                // A shard that was closed meanwhile fires no more.
                let _ = fired.await;
            }
        });
        self.0.push(Firing { fired, done: Some(done) });
    }

    /// Waits until the first ones have fired; for ever when none fire.
    pub(crate) async fn fired(&mut self) {
        match self.0.first_mut() {
            Some(firing) => {
                (&mut firing.fired).await;
                firing.fired = Box::pin(std::future::ready(()));
            }
            None => std::future::pending().await,
        }
    }

    /// Tells those who wait for timers that have fired.
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
