//! The declaration of a program: [`App`], and the builders of its agents and timers.
//!
//! A program is declared first and run afterwards:
//!
//! 1. [`App::new`] creates an empty program. Each of `topic`, `table`, `agent`, `timer` and so on
//!    adds a declaration to it and returns a small `Copy` handle or a builder.
//! 2. The builders ([`AgentBuilder`], [`TimerBuilder`], …) take the handler. Their last method adds
//!    the agent or timer to the program.
//! 3. [`App::main`], [`App::run`] or [`App::start`] resolves the declarations into a topology and
//!    starts the workers.
//!
//! An invalid declaration does not fail where it is made. It is noted, and the start reports it.
//! Start reading at [`App`]; the next step is `running.rs`.

mod agent_builder;
mod command_line;
mod timer_builders;

pub use crate::program::Guarantee;
pub use agent_builder::AgentBuilder;
pub(crate) use command_line::CommandLine;
pub use timer_builders::{PartitionTimerBuilder, SourceBuilder, TaskBuilder, TimerBuilder};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{AgentSettings, FailurePolicy, InboxAgent};
use crate::clock::AppClock;
use crate::codec::{Json, Key, TopicKey};
use crate::config::Config;
use crate::error::RunError;
use crate::program::Program;
use crate::running::Running;
use crate::scope::{Use, Uses};
use crate::table::{GlobalTable, Table, TableDeclaration};
use crate::timer::{Crontab, Schedule};
use crate::topic::{IntoStream, Topic, TopicDeclaration};
use crate::topology::{AgentRole, Beginning, TableKind, TimerKind, TopologyDescription, TopologyError};
use crate::web::{WebRoutes, WebState};

/// A program: its topics, tables, agents and timers, declared before it runs.
///
/// ```no_run
/// use marlowe::App;
///
/// let mut app = App::new("word-count");
/// let words = app.topic::<String, u64>("words");
/// let counts = app.table::<String, u64>("counts");
/// app.agent("count", words).with(counts).each_event(async |counts, event| {
///     counts.update(event.key, |count| *count += event.value);
///     Ok(())
/// });
/// app.main() // the command line; alternatives: `app.run(config).await`, `app.start(config).await`
/// ```
///
/// The [crate's page](crate) has a complete program that runs. Declarations are leaked: they live
/// until the process ends.
pub struct App {
    pub(crate) program: Program,
    /// The routes that the program adds to the web server of every worker.
    pub(crate) web: WebRoutes,
    pub(crate) command_line: CommandLine,
}

impl App {
    /// Creates an app called `id`. This is the name of its consumer group, and the prefix of the
    /// names of its internal topics.
    pub fn new(id: &str) -> Self {
        Self { program: Program::new(id), web: WebRoutes::default(), command_line: CommandLine::default() }
    }

    /// Sets the program's own version, which `--version` and the start banner show:
    /// `app.version(env!("CARGO_PKG_VERSION"))`.
    pub fn version(&mut self, version: &str) -> &mut Self {
        self.command_line.version = Some(version.to_owned());
        self
    }

    /// Sets one of [librdkafka's
    /// settings](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md). It
    /// applies when [`main`](Self::main) runs the program on Kafka. `--kafka-config`, the
    /// environment and `--kafka` override it. Programs with their own `main` set it in their
    /// [`KafkaConfig`](crate::kafka::KafkaConfig).
    ///
    /// ```no_run
    /// let mut app = marlowe::App::new("page-views");
    /// app.kafka("compression.type", "zstd");
    /// # app.main()
    /// ```
    #[cfg(feature = "kafka")]
    pub fn kafka(&mut self, setting: &str, value: &str) -> &mut Self {
        self.command_line.kafka.push((setting.to_owned(), value.to_owned()));
        self
    }

    /// Sets the number of partitions of topics and tables that do not set their own (default: 8, as
    /// in Faust; at least 1).
    pub fn partitions(&mut self, partitions: u32) -> &mut Self {
        self.program.default_partitions = partitions;
        self
    }

    /// Sends records to topics outside of the transactions, as soon as their event has finished. So
    /// a record can be read before the commit, and may be there twice after a crash. This includes
    /// records on their way through a `group_by`. A topic that is
    /// [`transactional`](Topic::transactional) is left out.
    ///
    /// Rows, positions, changes for tables' inboxes and answers are still committed in one
    /// transaction. So a restored table never runs ahead of its input, and a worker that was
    /// expelled changes no row.
    pub fn at_least_once(&mut self) -> &mut Self {
        self.program.guarantee = Guarantee::AtLeastOnce;
        self
    }

    /// Declares a topic with keys `K` and values `V` in JSON. The topic is created if it does not
    /// exist.
    ///
    /// Use `Option<K>` if some records have no key, and `()` if no record has one.
    pub fn topic<K, V>(&mut self, name: &str) -> Topic<K, V>
    where
        K: TopicKey,
        V: Serialize + DeserializeOwned + 'static,
    {
        let topic: &'static _ = Box::leak(Box::new(TopicDeclaration::new(name, Json)));
        self.program.topics.push(topic);
        Topic(topic)
    }

    /// Declares a table with keys `K` and values `V` in JSON. Its rows are stored in the changelog
    /// topic `{app}-{name}-changelog`.
    pub fn table<K, V>(&mut self, name: &str) -> Table<K, V>
    where
        K: Key,
        V: Serialize + DeserializeOwned + Clone + 'static,
    {
        Table(self.declare_table(name, TableKind::Table))
    }

    /// Declares a table of which every worker has a read-only copy.
    pub fn global_table<K, V>(&mut self, name: &str) -> GlobalTable<K, V>
    where
        K: Key,
        V: Serialize + DeserializeOwned + Clone + 'static,
    {
        GlobalTable(self.declare_table(name, TableKind::Global))
    }

    fn declare_table<K, V>(&mut self, name: &str, kind: TableKind) -> &'static TableDeclaration<K, V>
    where
        K: Key,
        V: Serialize + DeserializeOwned + Clone + 'static,
    {
        let table: &'static TableDeclaration<K, V> =
            Box::leak(Box::new(TableDeclaration::new(&self.program.app, name, kind, Json)));
        self.program.tables.push(table);
        // Each table has an agent that applies the changes sent to the table's inbox.
        let settings = AgentSettings {
            name: format!("{name}-inbox").into(),
            role: AgentRole::Inbox,
            begins: Beginning::Start,
            reads: table.identity.inbox.clone(),
            concurrency: 1,
            policy: FailurePolicy::default(),
            uses: Uses(vec![Use::Slice(table.identity.name.clone())]),
        };
        self.program.agents.push(Box::leak(Box::new(InboxAgent { settings, table })));
        table
    }

    /// Returns the handle of the runtime's clock and random numbers, which handlers declare with
    /// `.with(...)`. See [`clock`](crate::clock) for why a handler should not ask the system.
    pub fn clock(&self) -> AppClock {
        AppClock::new()
    }

    /// Declares an agent called `name` that reads `stream`: a topic, or a topic that
    /// [`group_by`](Topic::group_by) repartitions by another key.
    pub fn agent<K, V>(&mut self, name: &str, stream: impl IntoStream<K, V>) -> AgentBuilder<'_, K, V>
    where
        K: TopicKey,
        V: 'static,
    {
        AgentBuilder::new(&mut self.program, name, stream.into_stream())
    }

    /// Declares a timer that runs every `interval` in every shard. There it reads and writes the
    /// shard's tables, as an agent does.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let mut app = marlowe::App::new("sessions");
    /// let idle = app.table::<String, u32>("idle-minutes");
    /// app.partition_timer("expire", Duration::from_secs(60)).with(idle).run(async |idle| {
    ///     for (user, minutes) in idle.iter() {
    ///         if minutes < 30 {
    ///             idle.insert(user, minutes + 1);
    ///         } else {
    ///             idle.remove(user);
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// ```
    pub fn partition_timer(&mut self, name: &str, interval: Duration) -> PartitionTimerBuilder<'_> {
        PartitionTimerBuilder::new(&mut self.program, name, interval)
    }

    /// Declares a timer that runs every `interval` on every worker, or on one worker with
    /// [`on_leader`](TimerBuilder::on_leader).
    pub fn timer(&mut self, name: &str, interval: Duration) -> TimerBuilder<'_> {
        TimerBuilder::new(&mut self.program, name, TimerKind::Every(interval), Schedule::Every(interval))
    }

    /// Declares a timer that runs at times of day: `times` in the format of cron, in the time zone
    /// `zone`.
    ///
    /// It runs once for each time that it names, by the [clock](crate::Config::clock):
    ///
    /// - If the clock is set back, no time runs again. If it is set forward, this is noticed within
    ///   a second.
    /// - Several times may pass unseen, because the clock was set, a run took long or the process
    ///   stood still. Then only the last of them runs. Times at which no worker ran do not run.
    /// - At a change to summer time, a fixed time that does not exist runs when the missing hour
    ///   would have begun. At a change back, a fixed time that comes twice runs the first time. A
    ///   crontab with `*` or steps in its minutes or hours follows real time.
    /// - With [`on_leader`](TimerBuilder::on_leader), a time runs at most once, whichever worker
    ///   leads, also after restarts. The reason is that the run is noted in the group before it
    ///   begins. If a time comes while there is no leader, it runs when a worker that was running
    ///   at that time becomes the leader. Without `on_leader`, each worker remembers its own runs
    ///   until it stops.
    /// - A drain does not run it.
    ///
    /// ```
    /// # let mut app = marlowe::App::new("nightly");
    /// app.crontab("report", "30 4 * * 1-5", "Europe/Berlin").on_leader().run(async |()| {
    ///     println!("good morning");
    ///     Ok(())
    /// });
    /// ```
    pub fn crontab(&mut self, name: &str, times: &str, zone: &str) -> TimerBuilder<'_> {
        let schedule = match Crontab::parse(times, zone) {
            Ok(crontab) => Schedule::At(Box::new(crontab)),
            Err(reason) => {
                self.program.errors.push(TopologyError::Crontab { name: name.into(), reason });
                Schedule::Once
            }
        };
        let kind = TimerKind::Crontab(format!("{times} ({zone})"));
        TimerBuilder::new(&mut self.program, name, kind, schedule)
    }

    /// Declares a task that runs once in the life of a worker, when the worker's shards are ready.
    ///
    /// ```
    /// # let mut app = marlowe::App::new("shop");
    /// let rates = app.global_table::<String, f64>("rates");
    /// app.task("base-rate").on_leader().with(rates).run(async |rates| {
    ///     rates.replace("EUR", 1.0).await?;
    ///     Ok(())
    /// });
    /// ```
    pub fn task(&mut self, name: &str) -> TaskBuilder<'_> {
        TaskBuilder::new(&mut self.program, name)
    }

    /// Declares a task on the leader that feeds `topic` from outside. After a restart or crash it
    /// continues where it was: each record is sent exactly once.
    /// [`SourceWriter`](crate::timer::SourceWriter) has an example.
    pub fn source<K: TopicKey, V: 'static>(&mut self, name: &str, topic: Topic<K, V>) -> SourceBuilder<'_, K, V> {
        SourceBuilder::new(&mut self.program, name, topic)
    }

    /// Adds routes to the web server of every worker, next to the built-in ones. May be called
    /// several times.
    ///
    /// The closure is called once per worker. It gets the [`WebState`], which opens what the routes
    /// use on that worker:
    ///
    /// ```
    /// use marlowe::axum::{Router, extract::State, http::StatusCode, routing::get};
    /// use marlowe::App;
    /// use marlowe::table::TableView;
    ///
    /// async fn home(State(pages): State<TableView<String, u64>>) -> Result<String, StatusCode> {
    ///     let views = pages.get("/home").await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    ///     Ok(format!("/home was seen {} times\n", views.unwrap_or(0)))
    /// }
    ///
    /// let mut app = App::new("page-views");
    /// let by_page = app.table::<String, u64>("views-by-page");
    /// app.web(move |state| {
    ///     Router::new().route("/home", get(home)).with_state(state.open(by_page.view()))
    /// });
    /// ```
    ///
    /// A handler gets the sender of a request from the extractor [`Caller`](crate::web::Caller).
    /// The routes run on a thread of their own.
    ///
    /// Every worker also serves the following paths, in JSON unless the table says otherwise:
    ///
    /// | path | answer or effect |
    /// |---|---|
    /// | `GET /` | a page about the worker and its tables, for people |
    /// | `GET /tables` | the tables, and which worker has which partition |
    /// | `GET /tables/{table}/{key}` | a row as it was last committed: `{"key", "value", "partition", "position"}` |
    /// | `GET /tables/{table}` | a page of rows in key order; `next_page` is the path of the next |
    /// | `POST /tables/{table}/{key}` | sends a change to the key's owner: [merged](Table::merge), else the new value |
    /// | `PUT`, `DELETE /tables/{table}/{key}` | replaces, removes the row |
    /// | `POST /topics/{topic}` | sends the record `{"key", "value"}` to one of the program's topics |
    /// | `GET /topology` | the dataflow graph; `?format=mermaid` or `dot` |
    /// | `GET /healthz` | 200 if the worker is alive, else 503 |
    /// | `GET /readyz` | 200 if all of the worker's shards are open and nothing is stuck, else 503 |
    /// | `GET /metrics` | numbers for Prometheus |
    ///
    /// A row is read from the worker that owns it, in this process or another. These query
    /// parameters apply to a row:
    ///
    /// - `?wait=` is how long to wait if the row's slice is moving to another worker (in
    ///   milliseconds, default 1000).
    /// - `?inbox=` waits until the state includes the change with that offset in the inbox.
    /// - `?at=` waits until the state has reached that position in the changelog.
    ///
    /// A page takes `?prefix=`, `?from=` and `?limit=` (default 100). A change takes `?wait=`: the
    /// answer then waits until the change is committed.
    ///
    /// A route can be answered by the worker that owns a key:
    /// [`WebState::owner_of`](crate::web::WebState::owner_of).
    ///
    /// A key in a path has the form that it has in records: text as it is, numbers in decimal
    /// digits, keys of several parts as a JSON array. It is percent-encoded.
    ///
    /// The program does not start if it adds a path that is served already. These are `/`,
    /// `/tables`, `/topics`, `/cluster` and everything below them, `/topology`, `/healthz`,
    /// `/readyz`, `/metrics`, `/login` and `/logout` if there are
    /// [tokens](crate::Config::web_token), and all paths that were added before.
    pub fn web(&mut self, routes: impl Fn(WebState) -> axum::Router + Send + Sync + 'static) -> &mut Self {
        self.web.add(routes);
        self
    }

    /// Returns the program's dataflow graph.
    ///
    /// ```
    /// let mut app = marlowe::App::new("word-count");
    /// let words = app.topic::<(), String>("words");
    /// app.agent("print", words).each(async |(), word| Ok(println!("{word}")));
    /// assert!(app.topology()?.to_mermaid().contains("words"));
    /// # Ok::<(), marlowe::topology::TopologyError>(())
    /// ```
    ///
    /// # Errors
    /// When the program cannot run as declared.
    pub fn topology(&self) -> Result<TopologyDescription, TopologyError> {
        if let Some(error) = self.program.errors.first() {
            return Err(error.clone());
        }
        Ok(crate::topology::Topology::resolve(self.program.graph(), &Default::default())?.describe())
    }

    /// Starts the program in this process, for programs that have their own `main`. [`Running`] has
    /// an example.
    ///
    /// # Errors
    /// When the program cannot run as declared, or its broker or folder cannot be opened.
    pub async fn start(self, config: Config) -> Result<Running, RunError> {
        Running::start(Arc::new(self.program), self.web, &config).await
    }

    /// Starts the program and runs it until it is interrupted (Ctrl-C or SIGTERM) or fails.
    ///
    /// # Errors
    /// When the program cannot start, or a worker fails.
    pub async fn run(self, config: Config) -> Result<(), RunError> {
        let running = self.start(config).await?;
        running.run_until(crate::interrupt::interrupted()).await
    }
}
