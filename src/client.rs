//! [`Client`]: a program that uses an app without being one of its workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::App;
use crate::config::Config;
use crate::error::RunError;
use crate::host::Join;
use crate::outbound::AskCounters;
use crate::peer::PeerSecurity;
use crate::prepare::prepare_topics;
use crate::running::open_broker;
use crate::scope::{ClientWith, WorkerScope};
use crate::threads::{Failures, Thread, Threads};
use crate::worker::{ClusterView, open_outbound};

/// A program that is not a worker of an app. It sends to the app's topics and inboxes, casts to its
/// agents and asks them, and reads its tables through views.
///
/// It needs the app's declarations and the broker. It joins no group, so it causes no rebalance,
/// and the workers do not see it. Its views ask the workers that have the rows, over their web
/// servers.
///
/// ```
/// use std::sync::Arc;
///
/// use marlowe::{App, Config};
/// use marlowe::client::Client;
/// use marlowe::embedded::EmbeddedBroker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn shop() -> (App, marlowe::agent::AnsweringAgent<String, f64, f64>) {
///     let mut app = App::new("shop");
///     let questions = app.topic::<String, f64>("questions");
///     let price = app
///         .agent("price", questions)
///         .each(async |(), weight| Ok(weight * 2.5))
///         .answers();
///     (app, price)
/// }
///
/// // On Kafka: `Config::default().kafka(...)`, in two programs. The embedded broker works in one
/// // process only.
/// let broker = Arc::new(EmbeddedBroker::in_memory(Default::default()));
/// let config = Config::default().without_web().broker(broker);
/// let running = shop().0.start(config.clone()).await?;
///
/// let (app, price) = shop();
/// let client = Client::connect(&app, config).await?;
/// assert_eq!(client.open(price).ask(&"tea".to_owned(), &2.0).await?, 5.0);
/// # drop(client);
/// # running.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// The handles that it opened work as long as the client exists. If the program has installed a
/// recorder of the crate `metrics`, asks that timed out are counted in
/// `marlowe_asks_timed_out_total`, and answers that came too late in `marlowe_replies_late_total`.
pub struct Client {
    scope: Arc<WorkerScope>,
    thread: Option<(Thread, Join)>,
    /// Dropped last, because work that is still running may need to ask other workers.
    _cluster_view: ClusterView,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("app", &self.scope.app).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the broker of `config`, and looks up the topics of `app` there. Topics that do
    /// not exist are created. Of the settings, only the broker, the data folder, the cluster token,
    /// TLS, the clock and the entropy are used.
    ///
    /// # Errors
    /// If the app cannot run as declared, or its broker cannot be reached. The embedded broker in a
    /// folder can be open in one process only.
    pub async fn connect(app: &App, config: Config) -> Result<Self, RunError> {
        config.check_token()?;
        let tls = config.tls()?;
        let program = &app.program;
        let broker = open_broker(&program.app, &config).await?;
        let topology = prepare_topics(program, &*broker, &*config.clock, config.topic_settings()).await?;
        let name: Arc<str> = format!("client-{:08x}", config.entropy.next() as u32).into();
        let clock = config.clock.clone();
        let security = PeerSecurity { signer: config.signer(), tls };
        // Nobody receives the failures: they are logged, and requests to a thread that failed fail.
        let (failures, _) = Failures::new();
        let threads = Threads { host: config.host.clone(), failures };
        let met = ClusterView::connect(name.clone(), program, &topology, broker.clone(), clock, security, &threads);
        let (routes, cluster_view) = met.await?;
        let (thread, join) = threads.start(&name)?;
        let counters = || AskCounters {
            late: metrics::counter!("marlowe_replies_late_total"),
            timed_out: metrics::counter!("marlowe_asks_timed_out_total"),
        };
        let (producer, asker) = open_outbound(program, &topology, &broker, &*config.entropy, counters, &thread)?;
        let scope = WorkerScope {
            app: program.app.clone(),
            worker: name,
            clock: config.clock,
            entropy: config.entropy,
            routes,
            globals: BTreeMap::new(),
            topology: Arc::new(topology),
            producer,
            asker,
            record_limit: broker.record_limit(),
        };
        Ok(Self { scope: Arc::new(scope), thread: Some((thread, join)), _cluster_view: cluster_view })
    }

    /// Opens views, inboxes, topics, agents, or a tuple of them.
    pub fn open<W: ClientWith>(&self, with: W) -> W::Opened {
        with.open_on_worker(&self.scope)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some((thread, join)) = self.thread.take() {
            drop(thread);
            // The thread's broker handles are dropped when it has ended.
            join.now();
        }
    }
}
