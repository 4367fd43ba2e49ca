//! The publisher of a worker's entry in the directory of workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Clock, Partition};
use tokio::sync::oneshot;

use super::status::WorkerStatus;
use super::timers::TasksLeft;
use crate::backoff::Backoff;
use crate::cluster::{ClusterToken, Directory, Entry, SIGNATURE, ShardClaim, sign};
use crate::outbound::{ClientProducer, Outgoing};
use crate::standby::Followed;
use crate::watch;

/// How long changes are collected before they are written.
const COLLECT: Duration = Duration::from_millis(20);

/// How long the publisher waits before it tries again after the broker did not take the entry.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How many of its own sessions a worker may be silent before its entry does not count any more. It
/// repeats its entry once per session.
const SILENT_SESSIONS: u32 = 3;

/// The task that tells the directory of workers what a worker has. It tells its own process at
/// once, and other processes through the topic.
pub(crate) struct DirectoryPublisher {
    pub(crate) worker: Arc<str>,
    /// The co-partition groups' names.
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) url: Option<Arc<str>>,
    pub(crate) topic: Arc<str>,
    pub(crate) session_timeout: Duration,
    pub(crate) directory: Arc<Directory>,
    pub(crate) producer: ClientProducer,
    pub(crate) clock: Arc<dyn Clock>,
    /// Signs the entries, if the workers share a token.
    pub(crate) token: Option<ClusterToken>,
    pub(crate) status: watch::Receiver<WorkerStatus>,
    pub(crate) tasks: watch::Receiver<TasksLeft>,
    /// The shards that the worker follows as a standby, if it does.
    pub(crate) standbys: Option<watch::Receiver<Vec<Followed>>>,
}

/// The means to take a worker's entry back.
pub(crate) struct Deregister(oneshot::Sender<oneshot::Sender<()>>);

impl Deregister {
    /// Says that the worker has left. Returns when the broker knows it, or has not answered within
    /// `deadline`.
    pub(crate) async fn say(self, deadline: Duration) {
        let (done, said) = oneshot::channel();
        if self.0.send(done).is_ok() && tokio::time::timeout(deadline, said).await.is_err() {
            tracing::warn!(
                "the broker did not confirm in time that this worker leaves the directory of workers; other workers \
                 notice it later"
            );
        }
    }
}

impl DirectoryPublisher {
    /// Returns the publisher's work, which begins when the worker has joined, and the means to end
    /// it. If the latter is dropped without a farewell, the work ends as in a crash, and the entry
    /// stays.
    pub(crate) fn begin(self) -> (Deregister, impl Future<Output = ()>) {
        let (farewell, leaving) = oneshot::channel();
        (Deregister(farewell), self.run(leaving))
    }

    async fn run(mut self, mut leaving: oneshot::Receiver<oneshot::Sender<()>>) {
        let started = self.clock.now().millis();
        let left = tokio::select! {
            biased;
            _ = self.status.wait_for(|status| status.joined) => None,
            left = &mut leaving => Some(left),
        };
        let said = match left {
            Some(left) => left,
            None => {
                let first = self.entry(started);
                self.directory.announce(&self.worker, first.clone());
                let entry = watch::Sender::new(first);
                let (write, look) = (self.write_entries(entry.subscribe()), self.follow_status(started, entry));
                tokio::select! {
                    biased;
                    left = &mut leaving => left,
                    () = async { tokio::join!(write, look); } => return,
                }
            }
        };
        self.directory.withdraw(&self.worker);
        // An error means that the worker was dropped, as in a crash.
        if let Ok(done) = said {
            if let Err(error) = self.send(&self.worker, None).await {
                tracing::warn!(
                    worker = %self.worker, "the worker's entry cannot be removed from the directory of workers: {error}"
                );
            }
            let _ = done.send(());
        }
    }

    /// Tells this process about each change.
    async fn follow_status(&self, started: i64, entry: watch::Sender<Entry>) {
        let (mut status, mut tasks) = (self.status.clone(), self.tasks.clone());
        let mut standbys = self.standbys.clone();
        let mut followed = async || match &mut standbys {
            Some(standbys) => standbys.changed().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                biased;
                changed = status.changed() => if changed.is_err() {
                    // The worker has stopped. Its last entry holds until its farewell.
                    return std::future::pending().await;
                },
                // This ends when there is no task left to count.
                Ok(()) = tasks.changed() => {}
                Ok(()) = followed() => {}
            }
            let now = self.entry(started);
            self.directory.announce(&self.worker, now.clone());
            entry.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
        }
    }

    /// Tells the other processes about each change, and once per session that the worker is still
    /// here.
    async fn write_entries(&self, mut entry: watch::Receiver<Entry>) {
        let mut disputed = self.directory.disputed();
        let mut backoff = Backoff::every(TRY_AGAIN);
        loop {
            let now = entry.borrow_and_update().clone();
            let json = serde_json::to_vec(&now).unwrap_or_default();
            let wait = match self.send(&self.worker, Some(json)).await {
                Ok(()) => self.session_timeout,
                Err(error) => {
                    tracing::warn!(
                        worker = %self.worker,
                        "the worker's entry in the directory of workers cannot be written; trying again: {error}"
                    );
                    backoff.next_pause()
                }
            };
            if now.leads.is_some() {
                self.forget_the_silent().await;
            }
            tokio::select! {
                biased;
                changed = entry.changed() => if changed.is_err() {
                    return;
                },
                // The sender lives as long as the directory.
                _ = disputed.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            tokio::time::sleep(COLLECT).await;
        }
    }

    /// Takes back the entries of workers that did not do so themselves. Only the leader calls this.
    async fn forget_the_silent(&self) {
        for worker in self.directory.silent() {
            match self.send(&worker, None).await {
                Ok(()) => tracing::info!(
                    "worker `{worker}` has been silent for long, and is removed from the directory of workers"
                ),
                Err(error) => tracing::warn!(
                    "the silent worker `{worker}` cannot be removed from the directory of workers: {error}"
                ),
            }
        }
    }

    async fn send(&self, worker: &Arc<str>, value: Option<Vec<u8>>) -> Result<(), crate::outbound::SendError> {
        let timestamp = self.clock.now();
        let signature = self.token.as_ref().map(|token| sign(token, &self.topic, worker, timestamp, value.as_deref()));
        let record = Outgoing {
            topic: self.topic.clone(),
            partition: Partition::new(0),
            timestamp,
            key: Some(worker.as_bytes().to_vec()),
            value,
            headers: signature.map(|signature| (SIGNATURE.to_owned(), Some(signature))).into_iter().collect(),
        };
        self.producer.send(record).await.map(drop)
    }

    fn entry(&self, started: i64) -> Entry {
        let status = self.status.borrow();
        let mut shards: BTreeMap<Arc<str>, Vec<ShardClaim>> = BTreeMap::new();
        for (id, generation) in &status.taken {
            let open = status.shards.contains(id);
            let claim = ShardClaim { partition: id.partition.get(), generation: *generation, open };
            shards.entry(self.groups[id.group].clone()).or_default().push(claim);
        }
        let mut standbys: BTreeMap<Arc<str>, Vec<u32>> = BTreeMap::new();
        for Followed { shard, .. } in self.standbys.iter().flat_map(|followed| followed.borrow().clone()) {
            standbys.entry(self.groups[shard.group].clone()).or_default().push(shard.partition.get());
        }
        Entry {
            process: self.directory.process().clone(),
            url: self.url.clone(),
            started,
            silent_after: u64::try_from((self.session_timeout * SILENT_SESSIONS).as_millis()).unwrap_or(u64::MAX),
            shards,
            standbys,
            leads: status.leads.then_some(status.leads_since),
            leader_tasks_left: self.tasks.borrow().leader,
        }
    }
}
