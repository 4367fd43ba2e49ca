use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::asked::{AskedAt, Web};
use super::broker::BrokerOptions;
use super::cluster::ClusterOptions;
use super::error::CliError;
use super::tls::TlsOptions;
use super::web::WebOptions;
use crate::config::{Config, Role, WebToken};
use crate::tls::Tls;

/// What may stand on a program's command line.
#[derive(Debug, Parser)]
#[command(about = "Runs this stream-processing program, and asks and tells it things", long_about = None, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(flatten)]
    pub(crate) worker: WorkerOptions,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const AFTER_HELP: &str = "Without a command, the program runs as a worker.";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalOptions {
    #[command(flatten)]
    pub(crate) broker: BrokerOptions,
    /// The folder for the workers' tables, and for the embedded broker's topics [default: none, all is kept in memory]
    #[arg(long, global = true, env = "MARLOWE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The largest record that the program sends, in bytes; it bounds the rows of tables, too [default: 10485760, on Kafka 1000000]
    #[arg(long, global = true, env = "MARLOWE_MAX_MESSAGE_BYTES", value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=1_000_000_000))]
    pub(crate) max_message_bytes: Option<u32>,
    /// Where the web server listens, and where commands find a running worker
    #[arg(long, global = true, env = "MARLOWE_WEB", value_name = "HOST:PORT|off", default_value = "127.0.0.1:6066", value_parser = web)]
    pub(crate) web: Web,
    /// A token that callers of the web server say, as `Authorization: Bearer TOKEN`, and with which commands ask a running worker. Its
    /// callers may ask and change; those of read:TOKEN only ask. May be given more than once. Better in the environment or in a file
    /// than here, where other users of the machine see it [default: none, everyone may ask and change]
    #[arg(
        long = "web-token",
        global = true,
        env = "MARLOWE_WEB_TOKEN",
        value_name = "[ROLE:]TOKEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) web_token: Vec<WebToken>,
    /// A file of such tokens, with lines of `read TOKEN` and `write TOKEN`, and a name after it if it is to have one
    #[arg(long, global = true, env = "MARLOWE_WEB_TOKENS", value_name = "FILE")]
    pub(crate) web_tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    /// What is logged: error, warn, info, debug, trace or off, or a filter as in RUST_LOG [default: RUST_LOG, or info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Answers in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Options of `worker`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of a worker")]
pub(crate) struct WorkerOptions {
    /// How many workers run in this process [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// How many lanes, which are threads that process shards, a worker has [default: the cores, shared among the workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    lanes: Option<u16>,
    /// Starts anew where the broker in --data-dir is lost or damaged; what is left is moved to a folder of its own there
    #[arg(long)]
    set_aside: bool,
    /// The time between two commits, in milliseconds [default: 100]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    commit_interval: Option<u64>,
    /// The worker's name in its group, of its own among all that run: one that comes back within the session gets what it had,
    /// and nothing moves meanwhile. With --workers, each is called NAME-number [default: a new member each time]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// A worker that is silent for so many milliseconds is taken for dead [default: 45000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    session_timeout: Option<u64>,
    /// Stops when every input is processed to its end
    #[arg(long)]
    pub(crate) drain: bool,
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(flatten)]
    pub(crate) web: WebOptions,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the program (this is what happens without a command)
    Worker(WorkerOptions),
    /// Lists the agents
    Agents {
        /// Also those that Marlowe adds, which repartition streams and apply changes sent to tables
        #[arg(long)]
        all: bool,
    },
    /// Lists the tables
    Tables,
    /// Lists the topics
    Topics {
        /// Also those that Marlowe adds: changelogs, inboxes and those of `group_by`
        #[arg(long)]
        all: bool,
    },
    /// Shows rows of a table, which it asks a running worker for
    Table(TableArguments),
    /// Sends a record to a topic, or to the topic that an agent reads
    Send(SendArguments),
    /// Shows the program's dataflow graph
    Topology {
        /// As what
        #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
        format: GraphFormat,
    },
    /// Passes over one event that stops the program, which must be stopped; says first what that is
    Skip(SkipArguments),
    /// Copies the folder of --data-dir, also while the program runs
    Backup {
        /// Where to: a folder that is not there yet, or an empty one
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Deletes what the program keeps, so that it begins again; says what that is first
    Reset(ResetArguments),
    /// Writes a script that completes this command line in a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// What `table` is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct TableArguments {
    /// The table
    pub(crate) name: String,
    /// The row's key [default: all rows]
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: Option<String>,
    /// Only rows whose keys start so
    #[arg(long, conflicts_with = "key")]
    pub(crate) prefix: Option<String>,
    /// Only rows from this key on
    #[arg(long, value_name = "KEY", conflicts_with = "key")]
    pub(crate) from: Option<String>,
    /// Of which partition, for tables whose partitions have rows of their own
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "key")]
    pub(crate) limit: u64,
}

/// What `send` sends where.
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "send [OPTIONS] TOPIC|@AGENT [KEY] VALUE\n       send [OPTIONS] TOPIC|@AGENT [KEY] --tombstone"
)]
pub(crate) struct SendArguments {
    /// The topic, or @ and an agent's name for the topic it reads
    #[arg(value_name = "TOPIC|@AGENT")]
    pub(crate) to: String,
    /// The key, if the record has one, and the value in JSON; text need not be quoted
    #[arg(value_name = "[KEY] VALUE", num_args = 1..=2, required_unless_present = "tombstone", allow_negative_numbers = true)]
    pub(crate) record: Vec<String>,
    /// Sends a record that has no value: in a compacted topic, it says that the key is gone
    #[arg(long)]
    pub(crate) tombstone: bool,
    /// When it happened, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLISECONDS", allow_negative_numbers = true)]
    pub(crate) timestamp: Option<i64>,
    /// The partition it goes to [default: the key's]
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// A header of the record; a name alone is a header without a value. May be given more than once
    #[arg(long = "header", value_name = "NAME[=TEXT]")]
    pub(crate) headers: Vec<String>,
}

/// What `skip` passes over.
#[derive(Clone, Debug, Args)]
pub(crate) struct SkipArguments {
    /// The topic, as the error names it: one of the program's, or one that Marlowe added
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The event's partition
    #[arg(value_name = "PARTITION")]
    pub(crate) partition: u32,
    /// The event's offset
    #[arg(value_name = "OFFSET")]
    pub(crate) offset: u64,
    /// Only this agent passes over it [default: every agent whose next event it is]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Does it
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What `reset` deletes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ResetArguments {
    /// Does it
    #[arg(long)]
    pub(crate) yes: bool,
    /// Deletes the program's own topics too
    #[arg(long)]
    pub(crate) all_topics: bool,
}

/// The forms of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// One JSON document
    Json,
    /// For <https://mermaid.live> and Markdown
    Mermaid,
    /// For Graphviz
    Dot,
}

fn web(text: &str) -> Result<Web, String> {
    if text == "off" {
        return Ok(Web::Off);
    }
    let addresses = text.to_socket_addrs().map_err(|error| format!("{error}; write HOST:PORT, or `off`"))?;
    // A name may have an address of each family. Loopback's first is often the sixth's, which a worker does not listen on.
    let addresses: Vec<SocketAddr> = addresses.collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.map(|address| Web::At(*address)).ok_or_else(|| "no such host".into())
}

impl Arguments {
    /// The command line, without the program's own part.
    pub(crate) fn definition() -> clap::Command {
        // `worker`'s options stand at the top too, and only there does the environment count: what was written on the command
        // line wins over it wherever it stands.
        let variables = [
            ("workers", "MARLOWE_WORKERS"),
            ("lanes", "MARLOWE_LANES"),
            ("commit_interval", "MARLOWE_COMMIT_INTERVAL"),
            ("instance", "MARLOWE_INSTANCE"),
            ("session_timeout", "MARLOWE_SESSION_TIMEOUT"),
            ("advertise", "MARLOWE_ADVERTISE"),
            ("cluster_token", "MARLOWE_CLUSTER_TOKEN"),
            ("standby_replicas", "MARLOWE_STANDBY_REPLICAS"),
            ("web_connections", "MARLOWE_WEB_CONNECTIONS"),
            ("web_read_only", "MARLOWE_WEB_READ_ONLY"),
            ("web_open", "MARLOWE_WEB_OPEN"),
            ("web_host", "MARLOWE_WEB_HOST"),
        ];
        variables.into_iter().fold(<Self as CommandFactory>::command(), |command, (option, variable)| {
            command.mut_arg(option, |argument| argument.env(variable))
        })
    }
}

impl GlobalOptions {
    /// The tokens of the command line, the environment and the file.
    pub(crate) fn tokens(&self) -> Result<Vec<WebToken>, CliError> {
        let mut tokens = self.web_token.clone();
        if let Some(path) = &self.web_tokens {
            tokens.extend(WebToken::from_file(path)?);
        }
        Ok(tokens)
    }

    /// Where a running worker is, and what to say to it: a token that may do everything, if there is one.
    pub(crate) fn asked(&self) -> Result<AskedAt, CliError> {
        let tokens = self.tokens()?;
        let token = tokens.iter().find(|token| token.role == Role::Write).or(tokens.first()).cloned();
        let tls = self.tls.of_a_command().as_ref().map(Tls::load).transpose()?;
        Ok(AskedAt { web: self.web, token, tls })
    }
}

impl WorkerOptions {
    /// Returns the names of all of them.
    pub(crate) fn names() -> Vec<String> {
        let all = Self::augment_args(clap::Command::new("worker"));
        all.get_arguments().map(|option| option.get_id().to_string()).collect()
    }

    /// These, over those at the top.
    pub(crate) fn over(self, top: WorkerOptions) -> Self {
        Self {
            workers: self.workers.or(top.workers),
            lanes: self.lanes.or(top.lanes),
            commit_interval: self.commit_interval.or(top.commit_interval),
            instance: self.instance.or(top.instance),
            session_timeout: self.session_timeout.or(top.session_timeout),
            drain: self.drain || top.drain,
            set_aside: self.set_aside || top.set_aside,
            cluster: self.cluster.over(top.cluster),
            web: self.web.over(top.web),
        }
    }

    /// The settings of a run. `kafka` are settings of Kafka that the program makes itself.
    pub(crate) fn config(&self, global: &GlobalOptions, kafka: &[(String, String)]) -> Result<Config, CliError> {
        let mut config = match global.web {
            Web::At(address) => Config::default().web(address),
            Web::Off => Config::default().without_web(),
        };
        config.web_tokens = global.tokens()?;
        config.broker = global.broker.choice(kafka)?;
        config.data_dir = global.data_dir.clone();
        config.set_aside = self.set_aside;
        config.max_message_bytes = global.max_message_bytes.map(|bytes| bytes as usize);
        config.instance = self.instance.clone();
        self.cluster.set(&mut config);
        self.web.set(&mut config);
        if let Some(workers) = self.workers {
            config = config.workers(usize::from(workers));
        }
        if let Some(lanes) = self.lanes {
            config = config.lanes(usize::from(lanes));
        }
        if let Some(interval) = self.commit_interval {
            config = config.commit_interval(Duration::from_millis(interval));
        }
        if let Some(timeout) = self.session_timeout {
            config = config.session_timeout(Duration::from_millis(timeout));
        }
        Ok(config)
    }
}
