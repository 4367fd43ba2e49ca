//! The commands and options of a program's command line. Their doc comments are the help text.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::asked::{AskedAt, Web};
use super::broker::BrokerOptions;
use super::cluster::ClusterOptions;
use super::tls::TlsOptions;
use super::web::WebOptions;
use crate::cli::error::CliError;
use crate::config::{Config, Role, WebToken};
use crate::tls::Tls;

/// The command line of a program, without the options that the program adds itself.
#[derive(Debug, Parser)]
#[command(about = "Runs this stream-processing program, or inspects and changes what it holds", long_about = None, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(flatten)]
    pub(crate) worker: WorkerOptions,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const AFTER_HELP: &str = "Without a command, the program runs as a worker.";

/// The options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalOptions {
    #[command(flatten)]
    pub(crate) broker: BrokerOptions,
    /// The folder in which the workers keep their tables, and the embedded broker its topics
    /// [default: none; everything is kept in memory]
    #[arg(long, global = true, env = "MARLOWE_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The largest record that the program may send, in bytes, and so also the largest row of a
    /// table [default: 10485760; on Kafka 1000000]
    #[arg(long, global = true, env = "MARLOWE_MAX_MESSAGE_BYTES", value_name = "N", value_parser = clap::value_parser!(u32).range(1000..=1_000_000_000))]
    pub(crate) max_message_bytes: Option<u32>,
    /// The address at which the web server listens, and at which commands find a running worker;
    /// `off` for no web server
    #[arg(long, global = true, env = "MARLOWE_WEB", value_name = "HOST:PORT|off", default_value = "127.0.0.1:6066", value_parser = web)]
    pub(crate) web: Web,
    /// A secret that callers of the web server must send, as `Authorization: Bearer TOKEN`.
    /// Commands send it to a running worker. Callers with read:TOKEN may only read; callers with
    /// write:TOKEN, or TOKEN alone, may also change. May be given more than once. The environment
    /// variable or a file is safer, because other users of the machine can see the command line
    /// [default: none; everyone may read and change]
    #[arg(
        long = "web-token",
        global = true,
        env = "MARLOWE_WEB_TOKEN",
        value_name = "[ROLE:]TOKEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) web_token: Vec<WebToken>,
    /// A file with such tokens, one per line: `read TOKEN` or `write TOKEN`, optionally followed by
    /// a name of the caller
    #[arg(long, global = true, env = "MARLOWE_WEB_TOKENS", value_name = "FILE")]
    pub(crate) web_tokens: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    /// The log level: error, warn, info, debug, trace or off; or a filter in the format of RUST_LOG
    /// [default: RUST_LOG, or info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Prints answers as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The options of `worker`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of a worker")]
pub(crate) struct WorkerOptions {
    /// The number of workers in this process [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// The number of lanes of each worker; a lane is a thread that processes partitions [default:
    /// the number of cores, divided among the workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    lanes: Option<u16>,
    /// Starts with empty data if the broker in --data-dir is lost or damaged; what is left there is
    /// moved to a subfolder
    #[arg(long)]
    set_aside: bool,
    /// The longest time between two commits while events finish, in milliseconds; with less to do,
    /// commits follow the events sooner [default: 100]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    commit_interval: Option<u64>,
    /// The shortest time between two commits, in milliseconds; the same as --commit-interval makes
    /// the interval fixed [default: 0]
    #[arg(long, value_name = "MS")]
    min_commit_interval: Option<u64>,
    /// The share of a lane's and the broker's time that commits may take, above 0 and at most 1
    /// [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    commit_share: Option<f64>,
    /// A fixed name of the worker in its consumer group, unique among all running workers. A worker
    /// that comes back under its name within the session timeout gets its partitions back without a
    /// rebalance. With --workers, each is called NAME-number [default: a new member each time]
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// A worker that is silent for this many milliseconds is expelled, and others take over its
    /// partitions [default: 45000]
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

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the program as a worker (also the default without a command)
    Worker(WorkerOptions),
    /// Lists the agents, which process the records of topics
    Agents {
        /// Also lists the agents that Marlowe adds: they repartition streams, and apply changes
        /// sent to tables
        #[arg(long)]
        all: bool,
    },
    /// Lists the tables
    Tables,
    /// Lists the topics
    Topics {
        /// Also lists the topics that Marlowe adds, such as changelogs, inboxes and the topics of
        /// `group_by`
        #[arg(long)]
        all: bool,
    },
    /// Shows rows of a table; needs a running worker
    Table(TableArguments),
    /// Sends a record to a topic, or to the topic that an agent reads
    Send(SendArguments),
    /// Shows the program's dataflow graph
    Topology {
        /// The format of the graph
        #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
        format: GraphFormat,
    },
    /// Skips one event at which the program fails. The program must be stopped. Without --yes, only
    /// shows what would be skipped
    Skip(SkipArguments),
    /// Copies the folder of --data-dir, also while the program runs
    Backup {
        /// The folder to copy to: one that does not exist yet, or an empty one
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Deletes the program's tables and positions, so that it processes its input again from the
    /// start. Without --yes, only shows what would be deleted
    Reset(ResetArguments),
    /// Prints a script that completes this command line in a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// The arguments of `table`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TableArguments {
    /// The name of the table
    pub(crate) name: String,
    /// The key of one row [default: all rows]
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: Option<String>,
    /// Only rows whose keys start with this text
    #[arg(long, conflicts_with = "key")]
    pub(crate) prefix: Option<String>,
    /// Only rows from this key on, in key order
    #[arg(long, value_name = "KEY", conflicts_with = "key")]
    pub(crate) from: Option<String>,
    /// Only rows of this partition; needed with a key if each partition of the table has rows of
    /// its own
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// The most rows to show
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "key")]
    pub(crate) limit: u64,
}

/// The arguments of `send`.
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "send [OPTIONS] TOPIC|@AGENT [KEY] VALUE\n       send [OPTIONS] TOPIC|@AGENT [KEY] --tombstone"
)]
pub(crate) struct SendArguments {
    /// The topic, or @ and the name of an agent for the topic that it reads
    #[arg(value_name = "TOPIC|@AGENT")]
    pub(crate) to: String,
    /// The key, if the record has one, and the value in JSON; text needs no quotes
    #[arg(value_name = "[KEY] VALUE", num_args = 1..=2, required_unless_present = "tombstone", allow_negative_numbers = true)]
    pub(crate) record: Vec<String>,
    /// Sends a record without a value; in a compacted topic it deletes the key
    #[arg(long)]
    pub(crate) tombstone: bool,
    /// The timestamp of the record, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLISECONDS", allow_negative_numbers = true)]
    pub(crate) timestamp: Option<i64>,
    /// The partition to send to [default: chosen by the key]
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// A header of the record; a name without =TEXT is a header without a value. May be given more
    /// than once
    #[arg(long = "header", value_name = "NAME[=TEXT]")]
    pub(crate) headers: Vec<String>,
}

/// The arguments of `skip`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SkipArguments {
    /// The topic that the error names: one of the program's, or one that Marlowe added
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The partition of the event
    #[arg(value_name = "PARTITION")]
    pub(crate) partition: u32,
    /// The offset of the event
    #[arg(value_name = "OFFSET")]
    pub(crate) offset: u64,
    /// Skips the event only for this agent [default: every agent whose next event it is]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Skips the event; without this option, nothing is changed
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The arguments of `reset`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ResetArguments {
    /// Deletes the data; without this option, nothing is changed
    #[arg(long)]
    pub(crate) yes: bool,
    /// Also deletes the program's own topics, with their records
    #[arg(long)]
    pub(crate) all_topics: bool,
}

/// The formats of a dataflow graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A JSON document
    Json,
    /// A Mermaid diagram, for <https://mermaid.live> and Markdown
    Mermaid,
    /// A DOT file, for Graphviz
    Dot,
}

fn web(text: &str) -> Result<Web, String> {
    if text == "off" {
        return Ok(Web::Off);
    }
    let addresses = text.to_socket_addrs().map_err(|error| format!("{error}; write HOST:PORT, or `off`"))?;
    // A name may have addresses of both families. The first address of `localhost` is often IPv6,
    // where a worker does not listen by default.
    let addresses: Vec<SocketAddr> = addresses.collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.map(|address| Web::At(*address)).ok_or_else(|| "the host has no address; write HOST:PORT, or `off`".into())
}

impl Arguments {
    /// Returns the definition of the command line, without the program's own options.
    pub(crate) fn definition() -> clap::Command {
        // The options of `worker` also exist at the top level, and only there they read the
        // environment. So an option that is written on the command line overrides the environment,
        // wherever it is written.
        let variables = [
            ("workers", "MARLOWE_WORKERS"),
            ("lanes", "MARLOWE_LANES"),
            ("commit_interval", "MARLOWE_COMMIT_INTERVAL"),
            ("min_commit_interval", "MARLOWE_MIN_COMMIT_INTERVAL"),
            ("commit_share", "MARLOWE_COMMIT_SHARE"),
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
    /// Returns the tokens of the command line, the environment and the file.
    pub(crate) fn tokens(&self) -> Result<Vec<WebToken>, CliError> {
        let mut tokens = self.web_token.clone();
        if let Some(path) = &self.web_tokens {
            tokens.extend(WebToken::from_file(path)?);
        }
        Ok(tokens)
    }

    /// Returns where a running worker is, and the token to send to it. A token that may change is
    /// preferred.
    pub(crate) fn asked(&self) -> Result<AskedAt, CliError> {
        let tokens = self.tokens()?;
        let token = tokens.iter().find(|token| token.role == Role::Write).or(tokens.first()).cloned();
        let tls = self.tls.of_a_command().as_ref().map(Tls::load).transpose()?;
        Ok(AskedAt { web: self.web, token, tls })
    }
}

impl WorkerOptions {
    /// Returns the names of all options of `worker`.
    pub(crate) fn names() -> Vec<String> {
        let all = Self::augment_args(clap::Command::new("worker"));
        all.get_arguments().map(|option| option.get_id().to_string()).collect()
    }

    /// Merges these options with `top`, those at the top level. If both set an option, these win.
    pub(crate) fn over(self, top: WorkerOptions) -> Self {
        Self {
            workers: self.workers.or(top.workers),
            lanes: self.lanes.or(top.lanes),
            commit_interval: self.commit_interval.or(top.commit_interval),
            min_commit_interval: self.min_commit_interval.or(top.min_commit_interval),
            commit_share: self.commit_share.or(top.commit_share),
            instance: self.instance.or(top.instance),
            session_timeout: self.session_timeout.or(top.session_timeout),
            drain: self.drain || top.drain,
            set_aside: self.set_aside || top.set_aside,
            cluster: self.cluster.over(top.cluster),
            web: self.web.over(top.web),
        }
    }

    /// Returns the settings of a run. `kafka` are settings of the Kafka client that the program
    /// sets itself.
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
        if let Some(interval) = self.min_commit_interval {
            config = config.min_commit_interval(Duration::from_millis(interval));
        }
        config.commit_share = self.commit_share.unwrap_or(config.commit_share);
        if let Some(timeout) = self.session_timeout {
            config = config.session_timeout(Duration::from_millis(timeout));
        }
        Ok(config)
    }
}
