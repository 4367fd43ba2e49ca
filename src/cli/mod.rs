//! The command line of every program that calls [`App::main`].
//!
//! ```text
//! App::main -> command_line  parses the arguments: Marlowe's options, and the program's own
//!           -> Invocation    sets up the log and the runtime, and makes the Config
//!           -> one command   worker, agents, tables, topics, table, send, topology, skip, ...
//!           -> Console       writes the answer, as text or as JSON
//!           -> exit code     0, 1, 2 or 130
//! ```
//!
//! The commands are of three kinds:
//!
//! - `worker` runs the program (`worker.rs`).
//! - `agents`, `tables`, `topics`, `topology`, `skip`, `backup` and `reset` work on the
//!   declarations, the broker and the folder. `skip` and `reset` need the program to be stopped;
//!   `stopped.rs` checks that.
//! - `table` asks a running worker over HTTP (`client.rs`). `send` does so too if a worker has the
//!   folder, or if there is none.
//!
//! Each file with options (`arguments.rs`, `broker.rs`, `cluster.rs`, `kafka.rs`, `tls.rs`,
//! `web.rs`) holds their help text. Start reading at [`App::main`].

mod banner;
mod bars;
mod client;
mod commands;
mod console;
mod error;
mod grid;
mod interruption;
mod log;
mod named;
mod options;
mod stopped;
mod store;

use std::sync::Arc;

use indicatif::MultiProgress;

use crate::app::App;
use commands::{backup, declared, reset, rows, send, skip, worker};
use console::{Console, Form};
use error::CliError;
use options::{Arguments, Command, WorkerOptions};

impl App {
    /// Adds the program's own options to those of [`main`](Self::main), and reads them. They may
    /// stand before and after a command, and `--help` shows them. `T` derives `clap::Args`. Call
    /// this once, before the declarations that depend on the options.
    /// ```no_run
    /// # let mut app = marlowe::App::new("flights");
    /// #[derive(clap::Args)]
    /// struct Options {
    ///     /// Rows per second [default: as fast as possible]
    ///     #[arg(long)]
    ///     rate: Option<u32>,
    /// }
    ///
    /// let options: Options = app.options();
    /// println!("{:?}", options.rate);
    /// # app.main()
    /// ```
    ///
    /// It reads the process's arguments. If they ask for help or are wrong (exit code 2), it ends
    /// the process.
    ///
    /// # Panics
    /// In debug builds, when an option has the name of one of Marlowe's.
    pub fn options<T: clap::Args>(&mut self) -> T {
        self.command_line.add::<T>();
        self.command_line.read()
    }

    /// Runs the command line: reads the process's arguments, runs their command, and ends the
    /// process.
    ///
    /// Without a command the program runs as a worker. `program --help` describes all commands:
    /// `worker`, `agents`, `tables`, `topics`, `table`, `send`, `topology`, `skip`, `backup`,
    /// `reset`, `completion`.
    /// ```no_run
    /// let mut app = marlowe::App::new("page-views");
    /// let views = app.topic::<String, String>("views");
    /// app.agent("print", views).each(async |(), page| {
    ///     println!("{page}");
    ///     Ok(())
    /// });
    /// app.main()
    /// ```
    ///
    /// It does not return, so it can be the last line of any `main`, and the exit code cannot get
    /// lost. The exit codes are:
    ///
    /// - 0: everything went well. This includes Ctrl-C and SIGTERM, on which a worker finishes the
    ///   events in flight and commits.
    /// - 1: something failed. Standard error says what.
    /// - 2: the command line was wrong.
    /// - 130: a second Ctrl-C ended a process that was still stopping after the first.
    ///
    /// It starts its own runtime, so call it from a `main` that is not async. An async `main` can
    /// call [`run`](Self::run).
    pub fn main(self) -> ! {
        let Self { program, web, command_line } = self;
        let arguments: Arguments = command_line.read();
        let form = if arguments.global.json { Form::Json } else { Form::Text };
        let invocation = Invocation { app: App { program, web, command_line }, console: Console::new(form), arguments };
        let code = match invocation.run() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{}", error.report());
                error.exit_code()
            }
        };
        std::process::exit(code)
    }
}

/// A parsed command line, and the program that it is for.
struct Invocation {
    app: App,
    console: Console,
    arguments: Arguments,
}

impl Invocation {
    fn run(self) -> Result<(), CliError> {
        let Self { app, console, arguments } = self;
        let Arguments { global, worker, command } = arguments;
        let bars = MultiProgress::new();
        log::start(global.log.as_deref(), &bars)?;
        crate::panic_place::note();
        let command = match command {
            None => Command::Worker(worker),
            Some(Command::Worker(own)) => Command::Worker(own.over(worker)),
            Some(command) => command,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(CliError::system("start the runtime"))?;
        let App { program, web, command_line } = app;
        let config = WorkerOptions::default().config(&global, &command_line.kafka)?;
        let done = runtime.block_on(async {
            match command {
                Command::Worker(options) => {
                    let mut config = options.config(&global, &command_line.kafka)?;
                    config.web_tls = global.tls.of_a_worker()?;
                    let run = worker::WorkerRun {
                        config,
                        until: if options.drain { worker::Until::Drained } else { worker::Until::Stopped },
                        version: command_line.version,
                        program: Arc::new(program),
                        web,
                        console,
                        bars,
                    };
                    run.run().await?;
                }
                Command::Agents { all } => {
                    declared::agents(&store::topology(&program, &config).await?, all.into(), &console);
                }
                Command::Tables => declared::tables(&store::topology(&program, &config).await?, &console),
                Command::Topics { all } => {
                    declared::topics(&program, &store::topology(&program, &config).await?, all.into(), &console);
                }
                Command::Topology { format } => {
                    declared::topology(&store::topology(&program, &config).await?, format, &console);
                }
                Command::Table(asked) => rows::show(&program, &asked, &global.asked()?, &console).await?,
                Command::Send(asked) => send::send(&program, &asked, &config, &global.asked()?, &console).await?,
                Command::Skip(asked) => skip::skip(Arc::new(program), asked, &config, &console).await?,
                Command::Backup { to } => backup::back_up(&program.app, &to, &config, &console)?,
                Command::Reset(asked) => reset::reset(&program, asked, &config, &console).await?,
                Command::Completion { shell } => command_line.complete(shell, &console),
            }
            Ok(())
        });
        // A blocked task, such as a handler that never returns, must not keep the process alive.
        runtime.shutdown_background();
        done
    }
}
