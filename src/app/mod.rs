//! What a program is declared with: [`App`], and what builds its agents and timers.

mod agent_builder;
mod command_line;
mod timer_builders;

pub use agent_builder::AgentBuilder;
pub(crate) use command_line::CommandLine;
pub use timer_builders::{PartitionTimerBuilder, SourceBuilder, TaskBuilder, TimerBuilder};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{AgentSettings, FailurePolicy, InboxAgent};
use crate::codec::{Json, Key, TopicKey};
use crate::config::Config;
use crate::error::RunError;
use crate::program::{Guarantee, Program};
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
/// app.main() // the command line; or `app.run(config).await`, or `app.start(config).await`
/// ```
///
/// The [crate's page](crate) has a whole one that runs. What is declared lives as long as the process.
pub struct App {
    pub(crate) program: Program,
    /// Routes that are added to the web server of every worker.
    pub(crate) web: WebRoutes,
    pub(crate) command_line: CommandLine,
}

impl App {
    /// An app called `id`: the name of its consumer group, and the start of the names of its internal topics.
    pub fn new(id: &str) -> Self {
        Self { program: Program::new(id), web: WebRoutes::default(), command_line: CommandLine::default() }
    }

    /// The program's own version, for `--version` and the start banner: `app.version(env!("CARGO_PKG_VERSION"))`.
    pub fn version(&mut self, version: &str) -> &mut Self {
        self.command_line.version = Some(version.to_owned());
        self
    }

    /// One of [librdkafka's settings](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md) for when
    /// [`main`](Self::main) runs the program on Kafka. `--kafka-config`, the environment and `--kafka` win over it.
    /// Programs that have their own `main` give it to their [`KafkaConfig`].
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

    /// How many partitions topics and tables have that do not say (default: 8, as in Faust; at least 1).
    pub fn partitions(&mut self, partitions: u32) -> &mut Self {
        self.program.default_partitions = partitions;
        self
    }

    /// Sends outside of the transactions: what was sent can be read before the commit, and may be there twice after a crash.
    ///
    /// That includes changes sent to tables' inboxes and records on their way through a `group_by`. The rows that a
    /// handler wrote in its own slice stay exact, because rows and positions are committed in one transaction all the same. So a
    /// restored table never runs ahead of its input, and a worker that was taken for dead changes no row.
    pub fn at_least_once(&mut self) -> &mut Self {
        self.program.guarantee = Guarantee::AtLeastOnce;
        self
    }

    /// A topic with keys `K` and values `V` in JSON. It is created if it is not there.
    ///
    /// `Option<K>` is the key of a topic where some records have none, and `()` of one where none has.
    pub fn topic<K, V>(&mut self, name: &str) -> Topic<K, V>
    where
        K: TopicKey,
        V: Serialize + DeserializeOwned + 'static,
    {
        let topic: &'static _ = Box::leak(Box::new(TopicDeclaration::new(name, Json)));
        self.program.topics.push(topic);
        Topic(topic)
    }

    /// A table with keys `K` and values `V` in JSON. Its rows are kept by the changelog topic `{app}-{name}-changelog`.
    pub fn table<K, V>(&mut self, name: &str) -> Table<K, V>
    where
        K: Key,
        V: Serialize + DeserializeOwned + Clone + 'static,
    {
        Table(self.declare_table(name, TableKind::Table))
    }

    /// A table of which every worker has a read-only copy.
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
        // Changes that are sent to the table are applied by an agent of its own.
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

    /// An agent called `name` that reads `stream`: a topic, or one brought under another key with
    /// [`group_by`](Topic::group_by).
    pub fn agent<K, V>(&mut self, name: &str, stream: impl IntoStream<K, V>) -> AgentBuilder<'_, K, V>
    where
        K: TopicKey,
        V: 'static,
    {
        AgentBuilder::new(&mut self.program, name, stream.into_stream())
    }

    /// A timer that runs every `interval` in every shard, where it reads and writes the shard's tables as an agent
    /// does.
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

    /// A timer that runs every `interval` on every worker, or with [`on_leader`](TimerBuilder::on_leader) on one.
    pub fn timer(&mut self, name: &str, interval: Duration) -> TimerBuilder<'_> {
        TimerBuilder::new(&mut self.program, name, TimerKind::Every(interval), Schedule::Every(interval))
    }

    /// A timer that runs at times of day: `times` as cron writes them, in the time zone `zone`.
    ///
    /// It runs once for each time it names, by the [clock](crate::Config::clock):
    ///
    /// - A clock that is set back runs no time again; one that is set forward is noticed within a second.
    /// - Of several times that passed unseen, because the clock was set, a run took long or the process stood still, the last has
    ///   a run. Times at which no worker ran have none.
    /// - Over summer time a fixed time that does not exist runs when the missing hour would have begun, and one that comes
    ///   twice runs the first time; with `*` or steps in its minutes or hours, it goes on with real time.
    /// - With [`on_leader`](TimerBuilder::on_leader) a time has at most one run, whoever leads, also after restarts: the run
    ///   is noted with the group before it begins. A time that came while nobody led has its run when a worker that was there
    ///   leads. Without it, each worker remembers its runs as long as it runs.
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

    /// A task that runs once in the life of a worker, when the worker's shards are ready.
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

    /// A task on the leader that feeds `topic` from outside, and after a restart or crash goes on where it was: each
    /// record is sent exactly once. [`SourceWriter`](crate::SourceWriter)
    /// has an example.
    pub fn source<K: TopicKey, V: 'static>(&mut self, name: &str, topic: Topic<K, V>) -> SourceBuilder<'_, K, V> {
        SourceBuilder::new(&mut self.program, name, topic)
    }

    /// Adds routes to the web server of every worker, beside the built-in ones. May be called several times.
    ///
    /// The closure is called once per worker, with the [`WebState`] that opens what the routes use there:
    ///
    /// ```
    /// use marlowe::axum::{Router, extract::State, http::StatusCode, routing::get};
    /// use marlowe::{App, TableView};
    ///
    /// async fn home(State(pages): State<TableView<String, u64>>) -> Result<String, StatusCode> {
    ///     let views = pages.get("/home").await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    ///     Ok(format!("/home was seen {} times\n", views.unwrap_or(0)))
    /// }
    ///
    /// let mut app = App::new("page-views");
    /// let by_page = app.table::<String, u64>("views-by-page");
    /// app.web(move |state| Router::new().route("/home", get(home)).with_state(state.open(by_page.view())));
    /// ```
    ///
    /// A route asks who sent a request by an extractor, [`Caller`](crate::Caller). The routes run on a thread of their own.
    ///
    /// Every worker serves besides, in JSON where nothing else is said:
    ///
    /// | path | what |
    /// |---|---|
    /// | `GET /` | a page about the worker and its tables, for people |
    /// | `GET /tables` | the tables, and which worker has which partition |
    /// | `GET /tables/{table}/{key}` | a row as it was last committed: `{"key", "value", "partition", "position"}` |
    /// | `GET /tables/{table}` | a page of rows in key order; `next_page` is the path of the next |
    /// | `POST /tables/{table}/{key}` | sends a change to the key's owner: [merged](Table::merge), else the new value |
    /// | `PUT`, `DELETE /tables/{table}/{key}` | replaces, removes the row |
    /// | `POST /topics/{topic}` | sends the record `{"key", "value"}` to one of the program's topics |
    /// | `GET /topology` | the dataflow graph; `?format=mermaid` or `dot` |
    /// | `GET /healthz`, `GET /readyz` | whether the worker lives; whether all of its shards are open |
    /// | `GET /metrics` | numbers for Prometheus |
    ///
    /// A row is read from whichever worker owns it, in this process or another. It is asked for with `?wait=` where its slice may be
    /// just moving (in milliseconds, default 1000), `?inbox=` to wait until the state has the change of that offset,
    /// and `?at=` until it is as far as that changelog position. A page takes `?prefix=`, `?from=` and `?limit=`
    /// (default 100). A change takes `?wait=`, until it is committed.
    ///
    /// A route can be answered by the worker that owns a key: [`WebState::owner_of`](crate::WebState::owner_of).
    ///
    /// A key in a path is as records carry it: text as it is, numbers in decimal digits, keys of several parts as a
    /// JSON array, percent-encoded.
    ///
    /// A path that is served already (`/`, `/tables`, `/topics`, `/cluster` and what is below them, `/topology`, `/healthz`,
    /// `/readyz`, `/metrics`, with [tokens](crate::Config::web_token) also `/login` and `/logout`, or one that was added before) is an error at the start.
    pub fn web(&mut self, routes: impl Fn(WebState) -> axum::Router + Send + Sync + 'static) -> &mut Self {
        self.web.add(routes);
        self
    }

    /// The program's dataflow graph.
    ///
    /// ```
    /// let mut app = marlowe::App::new("word-count");
    /// let words = app.topic::<(), String>("words");
    /// app.agent("print", words).each(async |(), word| Ok(println!("{word}")));
    /// assert!(app.topology()?.to_mermaid().contains("words"));
    /// # Ok::<(), marlowe::TopologyError>(())
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

    /// Starts the program in this process, for programs that have their own `main`. [`Running`] has an example.
    ///
    /// # Errors
    /// When it cannot run as declared, or its broker or folder cannot be opened.
    pub async fn start(self, config: Config) -> Result<Running, RunError> {
        Running::start(Arc::new(self.program), self.web, &config).await
    }

    /// Starts the program and runs it until it is interrupted (Ctrl-C or SIGTERM) or fails.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn run(self, config: Config) -> Result<(), RunError> {
        let running = self.start(config).await?;
        running.run_until(crate::interrupt::interrupted()).await
    }
}
