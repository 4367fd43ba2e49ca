use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::console::Colours;
use super::error::CliError;

/// Begins to log to standard error, around the progress bars there.
///
/// What is logged is what `--log` says, else `RUST_LOG`, else what Marlowe and the program inform of and other crates
/// warn of.
pub(crate) fn start(asked: Option<&str>, bars: &MultiProgress) -> Result<(), CliError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let filter = match (asked, environment) {
        (Some(asked), _) => match asked.parse::<LevelFilter>() {
            Ok(level) => EnvFilter::new(own(level)),
            Err(_) => asked.parse().map_err(|error| {
                let levels = "error, warn, info, debug, trace, off, or a filter such as `warn,marlowe=debug`";
                CliError::Usage(format!("--log `{asked}` is no level: {error}; use one of {levels}"))
            })?,
        },
        (None, Some(filter)) => EnvFilter::new(filter),
        (None, None) => EnvFilter::new(own(LevelFilter::INFO)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(Colours::of(&io::stderr()) == Colours::On)
        .with_writer(AroundBars(bars.clone()));
    // A program that set up its own log keeps it.
    let _ = subscriber.try_init();
    Ok(())
}

/// `level` for Marlowe and for the program, which is named as its file is; warnings of the rest.
fn own(level: LevelFilter) -> String {
    let rest = level.min(LevelFilter::WARN);
    let program = std::env::current_exe().ok();
    let program = program.as_ref().and_then(|path| path.file_stem()?.to_str()).unwrap_or("marlowe").replace('-', "_");
    format!("{rest},marlowe={level},{program}={level}")
}

/// Standard error, with the progress bars out of the way while it is written to.
#[derive(Clone)]
struct AroundBars(MultiProgress);

impl Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AroundBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
