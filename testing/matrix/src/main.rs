//! Runs seeds of the matrix, and prints which of them fail.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use marlowe_matrix::{Drawn, Shape, run, run_silently};

#[derive(Parser)]
#[command(about = "Runs simulated clusters under seeds, and checks that every way to share a table is right in them")]
struct Arguments {
    /// The number of seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run only this shape, in JSON, as it was printed for a failed seed.
    #[arg(long, value_parser = |text: &str| serde_json::from_str::<Shape>(text))]
    shape: Option<Shape>,
    /// The number of attempts to find a smaller shape for a failed seed.
    #[arg(long, default_value_t = 200)]
    shrink: u32,
    /// Continue after a failed seed.
    #[arg(long)]
    keep_going: bool,
    /// Print each seed that passed.
    #[arg(long)]
    progress: bool,
    /// Print everything that happens.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `RUST_LOG=marlowe::sim=debug` prints everything while it happens.
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    hide_panics_of_silent_runs();
    let begun = now();
    let (next, done, simulated) = (AtomicU64::new(arguments.from), AtomicU64::new(0), AtomicU64::new(0));
    let failed = Mutex::new(Vec::new());
    let end = arguments.from + arguments.seeds;
    let one = |shape: &Shape| match catch_unwind(AssertUnwindSafe(|| run(shape))) {
        Ok(ran) => {
            done.fetch_add(1, Ordering::Relaxed);
            simulated.fetch_add(ran.simulated.as_secs(), Ordering::Relaxed);
            if arguments.progress {
                println!("passed {}", shape.seed);
            }
            if arguments.trace {
                println!("{}", ran.trace.lines().join("\n"));
            }
            true
        }
        Err(_) => {
            eprintln!("{shape:#?}");
            if let Ok(mut failed) = failed.lock() {
                failed.push(shape.seed);
            }
            false
        }
    };
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || (!arguments.keep_going && failed.lock().is_ok_and(|failed| !failed.is_empty())) {
                return;
            }
            let drawn = Drawn::of(seed);
            if !one(&drawn.shape()) {
                eprintln!("run it again: cargo xtask sim --seeds 1 --from {seed}");
                say_smaller(drawn, arguments.shrink);
            }
        }
    };
    if let Some(shape) = &arguments.shape {
        one(shape);
        next.store(end, Ordering::Relaxed);
    }
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        (0..cores).for_each(|_| drop(scope.spawn(work)));
    });
    let took = begun.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    let (done, hours) = (done.into_inner(), simulated.into_inner() as f64 / 3600.0);
    let failed = failed.into_inner().unwrap_or_default();
    println!(
        "{done} seeds passed, {} failed {failed:?}; {took:.1} s, {:.1} seeds/s, {hours:.1} simulated hours",
        failed.len(),
        done as f64 / took
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks for a smaller shape that fails too, and prints how to run it.
fn say_smaller(drawn: Drawn, tries: u32) {
    let first = drawn.shape();
    let shape = drawn.shrink(tries, |shape| {
        IS_SILENT.set(true);
        let failed = catch_unwind(AssertUnwindSafe(|| run_silently(shape))).is_err();
        IS_SILENT.set(false);
        failed
    });
    if shape != first {
        let json = serde_json::to_string(&shape).unwrap_or_else(|error| format!("{shape:?}: {error}"));
        eprintln!("a smaller one that fails too: cargo xtask sim --shape '{json}'");
    }
}

thread_local! {
    static IS_SILENT: Cell<bool> = const { Cell::new(false) };
}

fn hide_panics_of_silent_runs() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !IS_SILENT.get() {
            tell(panic);
        }
    }));
}

/// Returns the real time. It only shows how long the seeds take, and is not part of a run.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
