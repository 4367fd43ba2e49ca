//! The command `cargo xtask fuzz`: builds the fuzzers, and runs each for some time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, root, run, target};

/// Runs the fuzzers of all code that reads bytes from outside, as many at a time as there are
/// cores.
///
/// They begin with the kept corpus, `testing/fuzz/corpus`, and with inputs that Marlowe itself
/// writes. Inputs that they find are kept in `target/fuzz`, and the next run begins with them too.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// The minutes that each target runs.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// A target to run, instead of all; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// Add inputs that reach new code to the kept corpus afterwards.
    #[arg(long)]
    keep: bool,
}

impl Fuzz {
    pub(crate) fn run(&self) -> TaskResult {
        let fuzzers = Fuzzers::build()?;
        let all = fuzzers.targets()?;
        if let Some(unknown) = self.targets.iter().find(|name| !all.contains(name)) {
            return Err(format!("there is no target `{unknown}`; there are: {}", all.join(", ")));
        }
        let chosen = if self.targets.is_empty() { all } else { self.targets.clone() };
        fuzzers.run_all(&chosen, Duration::from_secs(60 * u64::from(self.minutes)))?;
        if self.keep { chosen.iter().try_for_each(|name| fuzzers.keep(name)) } else { Ok(()) }
    }
}

/// Runs all targets, each for `time`.
pub(crate) fn all_for(time: Duration) -> TaskResult {
    let fuzzers = Fuzzers::build()?;
    fuzzers.run_all(&fuzzers.targets()?, time)
}

/// The program that holds all targets.
struct Fuzzers {
    program: PathBuf,
    /// The folder in which the targets work.
    folder: PathBuf,
}

impl Fuzzers {
    /// Builds the program. The workspace's own crates have libFuzzer's counters, are optimized, and
    /// check for overflow. All other crates are built as for the tests.
    fn build() -> TaskResult<Self> {
        let folder = target().join("fuzz");
        let mut build = cargo();
        // With all of the workspace, features are those of the tests' build.
        build.args(["build", "--quiet", "--workspace", "--bin", "marlowe-fuzz"]);
        build.env("RUSTC_WORKSPACE_WRAPPER", root().join("testing/fuzz").join("rustc.sh"));
        build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        run(&mut build)?;
        // A build without the counters goes to the same place, so this one is copied. An older copy
        // may be in use.
        let (built, new, program) =
            (target().join("debug").join("marlowe-fuzz"), folder.join("new"), folder.join("marlowe-fuzz"));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::copy(built, &new))
            .and_then(|_| fs::rename(&new, &program))
            .map_err(|error| format!("cannot copy the fuzzers to {}: {error}", program.display()))?;
        Ok(Self { program, folder })
    }

    fn targets(&self) -> TaskResult<Vec<String>> {
        let output = Command::new(&self.program).arg("--list").output();
        let output = output.map_err(|error| format!("cannot start the fuzzers: {error}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    fn run_all(&self, targets: &[String], time: Duration) -> TaskResult {
        let waiting = Mutex::new(targets.iter().collect::<VecDeque<_>>());
        let failed = Mutex::new(Vec::new());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let work = || {
            while let Some(name) = next() {
                match self.run_one(name, time) {
                    Ok(done) => println!("fuzz {name}: {done}"),
                    Err(reason) => {
                        eprintln!("fuzz {name}: {reason}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(name.as_str());
                    }
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if failed.is_empty() { Ok(()) } else { Err(format!("findings of the fuzzers: {}", failed.join(", "))) }
    }

    /// Runs a target, and returns a summary of libFuzzer's last lines.
    fn run_one(&self, name: &str, time: Duration) -> TaskResult<String> {
        let failed = |error: std::io::Error| format!("cannot run it in {}: {error}", self.folder.display());
        let (found, log) = (self.folder.join("corpus").join(name), self.folder.join(format!("{name}.log")));
        // A fuzzer does not remove its files when it ends.
        let scratch = self.folder.join("scratch").join(name);
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).and_then(|()| fs::create_dir_all(&found)).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.arg(format!("--target={name}")).arg(format!("--seeds={}", found.display()));
        command.arg(format!("-max_total_time={}", time.as_secs()));
        // An input that takes long is a finding too, because an input usually takes a millisecond.
        command.args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]);
        command.arg(format!("-artifact_prefix={}-", self.folder.join(name).display()));
        command.args([&found, &kept(name)]);
        command.env("TMPDIR", &scratch).stderr(File::create(&log).map_err(failed)?);
        let status = command.status().map_err(failed)?;
        let _ = fs::remove_dir_all(&scratch);
        let told = String::from_utf8_lossy(&fs::read(&log).map_err(failed)?).into_owned();
        let line = |word: &str| told.lines().rfind(|line| line.contains(word)).unwrap_or_default().to_owned();
        if status.success() {
            let executed = line("stat::number_of_executed_units").split_whitespace().last().unwrap_or("?").to_owned();
            return Ok(format!("{executed} executions, 0 findings ({}; {})", line("Done "), coverage(&line("DONE"))));
        }
        let written = line("Test unit written to");
        let file = written.split_whitespace().last().unwrap_or("FILE");
        let end = told.lines().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(format!(
            "1 finding, in {file}. Once more: {} --target={name} {file}\nThe end of {}:\n{end}",
            self.program.display(),
            log.display()
        ))
    }

    /// Adds found inputs to the kept corpus if they reach code that the corpus does not reach. It
    /// adds few and short ones.
    fn keep(&self, name: &str) -> TaskResult {
        let (kept, found) = (kept(name), self.folder.join("corpus").join(name));
        let mut merge = Command::new(&self.program);
        merge.arg(format!("--target={name}")).args(["-set_cover_merge=1", "-use_counters=0", "-max_len=256"]);
        let log = File::create(self.folder.join(format!("{name}.merge.log"))).map_err(|error| error.to_string())?;
        run(merge.args([kept, found]).stderr(log))
    }
}

/// Returns the folder of a target's kept corpus.
fn kept(name: &str) -> PathBuf {
    root().join("testing/fuzz").join("corpus").join(name)
}

/// Returns the coverage in a status line of libFuzzer: `cov: 705 ft: 1581`.
fn coverage(line: &str) -> String {
    line.split_whitespace().skip_while(|word| *word != "cov:").take(4).collect::<Vec<_>>().join(" ")
}
