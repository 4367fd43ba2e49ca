//! The command line of every program that calls [`App::main`].

mod arguments;
mod asked;
mod backup;
mod banner;
mod bars;
mod broker;
mod client;
mod cluster;
mod command_line;
mod console;
mod declared;
mod error;
mod grid;
mod interruption;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod named;
mod reset;
mod rows;
mod send;
mod skip;
mod stopped;
mod store;
mod tls;
mod web;
mod worker;

use std::sync::Arc;

use indicatif::MultiProgress;

use crate::app::App;
use arguments::{Arguments, Command, WorkerOptions};
use console::{Console, Form};
use error::CliError;

impl App {
    /// Options of the program's own, beside those of [`main`](Self::main): they may stand before and after a command, and
    /// `--help` shows them. `T` derives `clap::Args`. Ask once, before what they decide is declared.
    ///
    /// ```no_run
    /// # let mut app = marlowe::App::new("flights");
    /// #[derive(clap::Args)]
    /// struct Options {
    ///     /// Rows a second [default: as fast as it goes]
    ///     #[arg(long)]
    ///     rate: Option<u32>,
    /// }
    ///
    /// let options: Options = app.options();
    /// println!("{:?}", options.rate);
    /// # app.main()
    /// ```
    ///
    /// It reads the process's arguments, and ends the process where they ask for help or are wrong (exit code 2).
    ///
    /// # Panics
    /// In debug builds, when an option is called as one of Marlowe's is.
    pub fn options<T: clap::Args>(&mut self) -> T {
        self.command_line.add::<T>();
        self.command_line.read()
    }

    /// The command line: reads the process's arguments, does what they say, and ends the process.
    ///
    /// Without a command the program runs as a worker. `program --help` tells all: `worker`, `agents`, `tables`, `topics`,
    /// `table`, `send`, `topology`, `skip`, `backup`, `reset`, `completion`.
    ///
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
    /// It does not return, so it fits at the end of any `main`, and the exit code cannot get lost: 0 when all went well, also
    /// after Ctrl-C and SIGTERM, on which a worker finishes the events in hand and commits; 1 when something failed, told
    /// on standard error; 2 when the command line was wrong; 130 when a second Ctrl-C did not wait for the first.
    /// It starts a runtime of its own: call it from a `main` that is not async. For others there is [`run`](Self::run).
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

/// A command, and what it is about.
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
        // What is still blocked, a handler that never returns perhaps, does not keep the process.
        runtime.shutdown_background();
        done
    }
}
