//! The simulated network between workers and to the broker, and the processes that it connects.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use marlowe_broker::{BrokerError, CommittedOffset, TopicPartition};
use marlowe_state::{Store, StoreError, StoreLayout};
use parking_lot::Mutex;
use tokio::task::LocalSet;

use super::chance::Chance;
use super::disk::{Disk, DiskStore, DiskUse};
use super::trace::Trace;
use crate::host::join::Started;
use crate::host::{Host, Join, RequestError, Serve};
use crate::{host, watch};

/// The state of the network at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Calm,
    /// A message may take long, may be lost, or may be obeyed without an answer.
    Rough,
}

/// The network between workers, and between workers and the broker.
pub(crate) struct SimulatedNetwork {
    chance: Chance,
    weather: Mutex<Weather>,
    /// True while the broker answers.
    broker: watch::Sender<bool>,
    /// The positions that the group's coordinator hands out, if they are not the ones that were
    /// committed last.
    old_positions: Mutex<Option<OldPositions>>,
    sites: Mutex<BTreeMap<String, Serve>>,
    pub(crate) trace: Trace,
}

/// The fate of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    /// The message does not arrive.
    Lost,
    /// The message arrives, and its answer is lost.
    Unanswered,
}

/// The group's positions in its inputs at a time. `None` where it had none.
pub(crate) type OldPositions = BTreeMap<TopicPartition, Option<CommittedOffset>>;

/// The time after which a sender gives up waiting for an answer.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

impl SimulatedNetwork {
    pub(crate) fn new(chance: Chance, trace: Trace) -> Self {
        let broker = watch::Sender::new(true);
        let (weather, old_positions) = (Mutex::new(Weather::Calm), Mutex::default());
        Self { chance, weather, broker, old_positions, sites: Mutex::default(), trace }
    }

    /// Makes the group's coordinator hand out the old positions `positions`, or with `None` the
    /// current ones.
    pub(crate) fn set_old_positions(&self, positions: Option<OldPositions>) {
        *self.old_positions.lock() = positions;
    }

    /// Returns positions as the coordinator hands them out.
    pub(crate) fn handed_out(
        &self,
        partitions: &[TopicPartition],
        committed: Vec<Option<CommittedOffset>>,
    ) -> Vec<Option<CommittedOffset>> {
        let old_positions = self.old_positions.lock();
        let Some(old) = &*old_positions else { return committed };
        let older = |(partition, now): (&TopicPartition, Option<CommittedOffset>)| match (old.get(partition), now) {
            (Some(Some(then)), Some(now)) if then.offset < now.offset => Some(then.clone()),
            (Some(None), _) => None,
            (_, now) => now,
        };
        partitions.iter().zip(committed).map(older).collect()
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    /// Makes the broker go away, or come back with all its data.
    pub(crate) fn set_broker(&self, is_there: bool) {
        self.broker.send_replace(is_there);
    }

    fn is_rough(&self) -> bool {
        *self.weather.lock() == Weather::Rough
    }

    /// Draws the fate of a message that may be lost.
    fn fate(&self) -> Fate {
        match self.is_rough().then(|| self.chance.number(0..100)) {
            Some(0..4) => Fate::Lost,
            Some(4..8) => Fate::Unanswered,
            _ => Fate::Arrives,
        }
    }

    /// Waits for as long as a message is on its way.
    pub(crate) async fn way(&self) {
        let micros = Duration::from_micros;
        let time = if self.is_rough() && self.chance.happens(200) {
            self.chance.time(micros(1000)..micros(300_000))
        } else {
            self.chance.time(micros(20)..micros(400))
        };
        tokio::time::sleep(time).await;
    }

    /// Waits until the broker is there, and for the way of one message to it.
    pub(crate) async fn to_reach_broker(&self) {
        // Cannot fail, because the sender is in this struct.
        let _ = self.broker.subscribe().wait_for(|is_there| *is_there).await;
        self.way().await;
    }

    /// Carries a request to the broker and its answer back. Waits while the broker is away.
    pub(crate) async fn to_broker<T>(&self, ask: impl Future<Output = T>) -> T {
        self.to_reach_broker().await;
        let answer = ask.await;
        self.way().await;
        answer
    }

    /// Carries a request to the broker that changes something. If no answer comes, the request is
    /// given up with an unknown outcome.
    pub(crate) async fn write_to_broker<T>(
        &self,
        who: &str,
        operation: &'static str,
        ask: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let fate = self.fate();
        self.to_reach_broker().await;
        let answer = match fate {
            Fate::Lost => None,
            Fate::Unanswered => {
                let _ = ask.await;
                None
            }
            Fate::Arrives => Some(ask.await),
        };
        self.way().await;
        match answer {
            Some(answer) => {
                let outcome = answer.as_ref().err().map_or_else(|| "done".to_owned(), BrokerError::to_string);
                self.trace.note(who, format_args!("{operation}: {outcome}"));
                answer
            }
            None => {
                tokio::time::sleep(GIVE_UP_AFTER).await;
                self.trace.note(who, format_args!("{operation}: no answer, {fate:?}"));
                Err(BrokerError::Unknown { operation, reason: "the network lost it, or the answer".into() })
            }
        }
    }

    /// Serves requests to `host` with `serve`, until [`serve_no_more`](Self::serve_no_more).
    pub(crate) fn serve(&self, host: &str, serve: Serve) {
        self.sites.lock().insert(host.to_owned(), serve);
    }

    pub(crate) fn serve_no_more(&self, host: &str) {
        let gone = self.sites.lock().remove(host);
        drop(gone);
    }

    /// Carries a request to the process that serves at its host.
    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, RequestError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        self.way().await;
        let Some(serve) = self.sites.lock().get(&host).cloned() else {
            return Err(RequestError::Unsent(format!("nobody serves at {host}")));
        };
        match self.fate() {
            Fate::Lost => {
                tokio::time::sleep(GIVE_UP_AFTER).await;
                return Err(RequestError::Unsent("the network lost it".into()));
            }
            Fate::Unanswered => {
                drop(serve(request.map(Body::new)).await);
                tokio::time::sleep(GIVE_UP_AFTER).await;
                return Err(RequestError::Unanswered("the network lost the answer".into()));
            }
            Fate::Arrives => {}
        }
        // The process makes the whole answer, so the network has no need to hold on to `serve`.
        let answered = serve(request.map(Body::new));
        drop(serve);
        let response = answered.await.map_err(|reason| RequestError::Unanswered(format!("{host} {reason}")))?;
        self.way().await;
        Ok(response)
    }
}

/// A process of a simulation: its name, and everything between it and the other processes.
pub(crate) struct Process {
    name: Arc<str>,
    gate: Arc<super::gate::Gate>,
    /// Has one clone for each thread that has not ended.
    threads: Arc<()>,
    used: Arc<DiskUse>,
    /// The disk of its machine, if it has one.
    disk: Option<Arc<Disk>>,
    pub(crate) network: Arc<SimulatedNetwork>,
}

impl Process {
    pub(crate) fn new(name: &str, network: Arc<SimulatedNetwork>, disk: Option<Arc<Disk>>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            gate: Arc::default(),
            threads: Arc::default(),
            used: Arc::default(),
            disk,
            network,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns `work` as work of this process, which rests while the process is paused.
    pub(crate) fn pausable<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let thread = self.threads.clone();
        super::gate::Behind::new(self.gate.clone(), self.used.clone(), async move {
            let ended = work.await;
            drop(thread);
            ended
        })
    }

    /// Ends the process at once. What is dropped of it leaves nothing behind on its disk, or for
    /// other processes.
    pub(crate) fn crash(&self) {
        self.used.crash();
        self.serve_no_more();
        self.resume();
    }

    /// Waits until all its threads have ended.
    pub(crate) async fn ended(&self) {
        while Arc::strong_count(&self.threads) > 1 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn pause(&self) {
        self.gate.shut();
    }

    pub(crate) fn resume(&self) {
        self.gate.open();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.gate.is_shut()
    }

    pub(crate) fn serve_no_more(&self) {
        self.network.serve_no_more(&self.name);
    }
}

/// A task in the place of a thread.
struct Task(tokio::task::JoinHandle<()>);

impl Started for Task {
    fn wait(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { drop(self.0.await) })
    }

    fn end(self: Box<Self>) {
        self.0.abort();
    }
}

/// A process as the host of the code that runs in it.
pub(crate) struct SimulatedHost(pub(crate) Arc<Process>);

impl Host for SimulatedHost {
    /// Starts a task in the single thread and runtime of the simulation.
    fn spawn_thread(&self, _: &str, work: BoxFuture<'static, ()>) -> io::Result<Join> {
        let local = LocalSet::new();
        let work = self.0.pausable(async move { local.run_until(work).await });
        Ok(Join::of(Task(tokio::task::spawn_local(work))))
    }

    /// Opens a store on the disk of its machine.
    ///
    /// # Panics
    /// If the machine has no disk.
    fn open_store(&self, path: &Path, layout: StoreLayout, owner: String) -> Result<Arc<dyn Store>, StoreError> {
        let Process { name, disk, used, .. } = &*self.0;
        let disk = disk.clone().unwrap_or_else(|| panic!("{name} has no disk"));
        Ok(Arc::new(DiskStore::open(path, layout, owner, disk, used.clone())?))
    }

    fn cores(&self) -> usize {
        2
    }

    fn network(&self) -> Option<Arc<dyn host::Network>> {
        Some(self.0.clone())
    }
}

impl host::Network for Process {
    fn url(&self) -> Arc<str> {
        format!("http://{}", self.name).into()
    }

    fn serve(&self, serve: Serve) {
        self.network.serve(&self.name, serve);
    }

    fn stop_serving(&self) {
        self.serve_no_more();
    }

    fn carry(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, RequestError>> {
        Box::pin(self.network.request(request))
    }
}
