//! The shards of a lane that are closing: they finish the events in hand before the lane commits
//! and drops them.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::shard::{Shard, ShardId};

/// The shards of a lane that finish their events in hand. The other shards go on meanwhile.
#[derive(Default)]
pub(crate) struct Closings(Vec<Closing>);

/// Shards that close together, and the caller that waits for them.
pub(crate) struct Closing {
    pub(crate) shards: Vec<ShardId>,
    finished: LocalBoxFuture<'static, ()>,
    closed: oneshot::Sender<()>,
}

impl Closings {
    /// Begins to wait until `tasks` end, for at most `within`.
    pub(crate) fn begin(
        &mut self,
        shards: Vec<ShardId>,
        tasks: Vec<(Rc<Shard>, oneshot::Receiver<()>)>,
        within: Duration,
        closed: oneshot::Sender<()>,
    ) {
        let deadline = Instant::now() + within;
        let finished = Box::pin(async move {
            for (shard, mut ended) in tasks {
                let ends = async {
                    tokio::select! {
                        biased;
                        _ = &mut ended => {}
                        // The task of a failed shard does not end. The lane reports the failure
                        // afterwards.
                        () = failed(&shard) => {}
                    }
                };
                if tokio::time::timeout_at(deadline, ends).await.is_err() {
                    tracing::warn!(
                        partition = %shard.id.partition,
                        "an event in flight did not finish in time; the shard's next owner handles it again"
                    );
                }
            }
        });
        self.0.push(Closing { shards, finished, closed });
    }

    /// Waits until some shards have finished, or forever if none are closing.
    pub(crate) async fn finished(&mut self) {
        std::future::poll_fn(|context| {
            for closing in &mut self.0 {
                if closing.finished.as_mut().poll(context).is_ready() {
                    closing.finished = Box::pin(std::future::ready(()));
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// Removes and returns the closings that have finished.
    pub(crate) fn take_finished(&mut self) -> Vec<Closing> {
        self.0.extract_if(.., |closing| (&mut closing.finished).now_or_never().is_some()).collect()
    }
}

impl Closing {
    /// Tells the caller that the shards are closed.
    pub(crate) fn tell(self) {
        let _ = self.closed.send(());
    }
}

async fn failed(shard: &Shard) {
    while !shard.link.has_failed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
