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
use crate::host::{Host, Join, RequestError, Serve};
use crate::{host, watch};

/// How the network is at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Calm,
    /// What is sent may take long, be lost, or be done without an answer.
    Rough,
}

/// What lies between workers, and between workers and the broker.
pub(crate) struct Network {
    chance: Chance,
    weather: Mutex<Weather>,
    /// Whether the broker answers.
    broker: watch::Sender<bool>,
    /// What the group's coordinator believes, if that is not what was committed last.
    old_positions: Mutex<Option<OldPositions>>,
    sites: Mutex<BTreeMap<String, Serve>>,
    pub(crate) trace: Trace,
}

/// What becomes of something that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    /// It does not arrive.
    Lost,
    /// It arrives, and its answer does not.
    Unanswered,
}

/// The positions that the group had in its inputs at a time; nothing where it had none.
pub(crate) type OldPositions = BTreeMap<TopicPartition, Option<CommittedOffset>>;

/// How long one waits for an answer that does not come.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

impl Network {
    pub(crate) fn new(chance: Chance, trace: Trace) -> Self {
        let broker = watch::Sender::new(true);
        let (weather, old_positions) = (Mutex::new(Weather::Calm), Mutex::default());
        Self { chance, weather, broker, old_positions, sites: Mutex::default(), trace }
    }

    /// The group's coordinator hands out positions as they were, or as they are.
    pub(crate) fn set_old_positions(&self, positions: Option<OldPositions>) {
        *self.old_positions.lock() = positions;
    }

    /// Positions as the coordinator hands them out.
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

    /// The broker goes away, or comes back with all it had.
    pub(crate) fn set_broker(&self, is_there: bool) {
        self.broker.send_replace(is_there);
    }

    fn is_rough(&self) -> bool {
        *self.weather.lock() == Weather::Rough
    }

    /// What becomes of something that may be lost.
    fn fate(&self) -> Fate {
        match self.is_rough().then(|| self.chance.number(0..100)) {
            Some(0..4) => Fate::Lost,
            Some(4..8) => Fate::Unanswered,
            _ => Fate::Arrives,
        }
    }

    /// How long something is on its way.
    pub(crate) async fn way(&self) {
        let micros = Duration::from_micros;
        let time = match self.is_rough() && self.chance.happens(200) {
            true => self.chance.time(micros(1000)..micros(300_000)),
            false => self.chance.time(micros(20)..micros(400)),
        };
        tokio::time::sleep(time).await;
    }

    /// Waits for a broker that is away, and for one way to it.
    pub(crate) async fn to_reach_broker(&self) {
        // The sender is here.
        let _ = self.broker.subscribe().wait_for(|is_there| *is_there).await;
        self.way().await;
    }

    /// Carries a request to the broker and its answer back. It waits for a broker that is away.
    pub(crate) async fn to_broker<T>(&self, ask: impl Future<Output = T>) -> T {
        self.to_reach_broker().await;
        let answer = ask.await;
        self.way().await;
        answer
    }

    /// The same for what changes something, and is given up if no answer comes.
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

    /// Serves at a name until it is served no more.
    pub(crate) fn serve(&self, host: &str, serve: Serve) {
        self.sites.lock().insert(host.to_owned(), serve);
    }

    pub(crate) fn serve_no_more(&self, host: &str) {
        let gone = self.sites.lock().remove(host);
        drop(gone);
    }

    /// Carries a request to whoever serves at its host.
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
        // The whole answer is made where it is served, as far as the network is concerned.
        let answered = serve(request.map(Body::new));
        drop(serve);
        let response = answered.await.map_err(|reason| RequestError::Unanswered(format!("{host} {reason}")))?;
        self.way().await;
        Ok(response)
    }
}

/// One process of a simulation: what it is called, and what lies between it and the others.
pub(crate) struct Process {
    name: Arc<str>,
    gate: Arc<super::gate::Gate>,
    /// One for each thread that is not at its end.
    threads: Arc<()>,
    used: Arc<DiskUse>,
    /// The disk of its machine, if it stores anything.
    disk: Option<Arc<Disk>>,
    pub(crate) network: Arc<Network>,
}

impl Process {
    pub(crate) fn new(name: &str, network: Arc<Network>, disk: Option<Arc<Disk>>) -> Arc<Self> {
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

    /// Work of this process, which rests while that is paused.
    pub(crate) fn pausable<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let thread = self.threads.clone();
        super::gate::Behind::new(self.gate.clone(), self.used.clone(), async move {
            let ended = work.await;
            drop(thread);
            ended
        })
    }

    /// It ends at once: what is dropped of it leaves nothing behind on its disk, or for others.
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

/// A process, as what runs in it sees it.
pub(crate) struct SimulatedHost(pub(crate) Arc<Process>);

impl Host for SimulatedHost {
    /// Starts a task, on the one thread and runtime that a simulation has.
    fn spawn_thread(&self, _: &str, work: BoxFuture<'static, ()>) -> io::Result<Join> {
        let local = LocalSet::new();
        let work = self.0.pausable(async move { local.run_until(work).await });
        Ok(Join::Task(tokio::task::spawn_local(work)))
    }

    /// Opens a store on its machine's disk.
    ///
    /// # Panics
    /// When it has none.
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
