//! The log of a program, which goes to standard error.

use std::fmt;
use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::console::Colours;
use super::error::CliError;
use crate::plain::plain;

/// Starts to log to standard error, around the progress bars there.
///
/// The filter is `--log`, or else `RUST_LOG`. Without both, it is `info` for Marlowe and the
/// program, and `warn` for other crates.
pub(crate) fn start(asked: Option<&str>, bars: &MultiProgress) -> Result<(), CliError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let filter = match (asked, environment) {
        (Some(asked), _) => match asked.parse::<LevelFilter>() {
            Ok(level) => EnvFilter::new(own(level)),
            Err(_) => asked.parse().map_err(|error| {
                let levels = "error, warn, info, debug, trace, off, or a filter such as `warn,marlowe=debug`";
                CliError::Usage(format!("--log `{asked}` is not a log level: {error}; use one of {levels}"))
            })?,
        },
        (None, Some(filter)) => EnvFilter::new(filter),
        (None, None) => EnvFilter::new(own(LevelFilter::INFO)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(debug_fn(field).delimited(" "))
        .with_ansi(Colours::of(&io::stderr()) == Colours::On)
        .with_writer(AroundBars(bars.clone()));
    // If the program has set up its own log, that stays.
    let _ = subscriber.try_init();
    Ok(())
}

/// Writes a field of a log line without control characters and on one line, because its value may
/// be text from elsewhere.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = plain(&value);
    if field.name() == "message" { writer.write_str(&value) } else { write!(writer, "{}={value}", field.name()) }
}

/// Returns the filter that sets `level` for Marlowe and the program, and at most `warn` for the
/// rest. The program's crate is assumed to be named as its file.
fn own(level: LevelFilter) -> String {
    let rest = level.min(LevelFilter::WARN);
    let program = std::env::current_exe().ok();
    let program = program.as_ref().and_then(|path| path.file_stem()?.to_str()).unwrap_or("marlowe").replace('-', "_");
    format!("{rest},marlowe={level},{program}={level}")
}

/// Standard error. The progress bars are hidden while it is written to.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct WrittenLog(Arc<Mutex<Vec<u8>>>);

    impl Write for WrittenLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_stays_one_line_without_control_characters() {
        let written = WrittenLog::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(debug_fn(field).delimited(" "))
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(key = %"a\x1b[2J", number = 7, text = "b\n", "said: {}", "c\nINFO forged\u{9b}");
        });
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let expected = "said: c\\nINFO forged\\u{9b} key=a\\u{1b}[2J number=7 text=\"b\\n\"\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
