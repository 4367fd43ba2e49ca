//! The command `cargo xtask mutants`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// Breaks each rule on purpose, one at a time in a copy of the sources, and counts the seeds of the
/// simulation that it takes to find it. The list of mutants is `testing/matrix/mutants.json`.
#[derive(Args)]
pub(crate) struct Mutants {
    /// The number of seeds that a mutant may survive before it counts as not caught.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// Only the mutants whose name contains this text.
    #[arg(long)]
    only: Option<String>,
}

/// A way to break a rule: a text in a file is replaced by another.
#[derive(Deserialize)]
struct Mutant {
    name: String,
    /// The number of the rule in the design.
    rule: u32,
    file: PathBuf,
    from: String,
    to: String,
}

/// The time within which a seed must end. A mutant that makes a seed go on for ever is caught too.
const STUCK_AFTER: Duration = Duration::from_secs(60);

impl Mutants {
    pub(crate) fn run(&self) -> TaskResult {
        let list = read(Path::new("testing/matrix/mutants.json"))?;
        let mutants: Vec<Mutant> =
            serde_json::from_str(&list).map_err(|error| format!("testing/matrix/mutants.json: {error}"))?;
        let copy = target().join("mutants");
        copy_sources(&copy)?;
        let (mut survivors, mut stale) = (Vec::new(), Vec::new());
        for mutant in &mutants {
            if self.only.as_ref().is_some_and(|only| !mutant.name.contains(only.as_str())) {
                continue;
            }
            let path = copy.join(&mutant.file);
            let sound = read(&path)?;
            if sound.matches(&mutant.from).count() != 1 {
                println!("rule {}: {}: its text is not once in {}", mutant.rule, mutant.name, mutant.file.display());
                stale.push(mutant.name.as_str());
                continue;
            }
            write(&path, &sound.replace(&mutant.from, &mutant.to))?;
            let caught = self.try_seeds(&copy);
            write(&path, &sound)?;
            match caught {
                Err(reason) => {
                    println!("rule {}: {}: cannot be tried: {reason}", mutant.rule, mutant.name);
                    stale.push(mutant.name.as_str());
                }
                Ok(Some(how)) => println!("rule {}: {}: caught {how}", mutant.rule, mutant.name),
                Ok(None) => {
                    println!("rule {}: {}: NOT caught by {} seeds", mutant.rule, mutant.name, self.seeds);
                    survivors.push(mutant.name.as_str());
                }
            }
        }
        let mut failed = Vec::new();
        if !survivors.is_empty() {
            failed.push(format!("{} mutant(s) not caught: {}", survivors.len(), survivors.join("; ")));
        }
        if !stale.is_empty() {
            let names = stale.join("; ");
            failed
                .push(format!("{} mutant(s) to bring up to date in testing/matrix/mutants.json: {names}", stale.len()));
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join(". ")) }
    }

    /// Returns how the mutant was caught, if it was.
    #[allow(clippy::disallowed_methods)] // it waits for another program
    fn try_seeds(&self, copy: &Path) -> TaskResult<Option<String>> {
        run(cargo().current_dir(copy).env("CARGO_TARGET_DIR", copy.join("target")).args([
            "build",
            "--quiet",
            "--profile",
            "sim",
            "--package",
            "marlowe-matrix",
        ]))?;
        let program = copy.join("target").join("sim").join("marlowe-matrix");
        let seeds = self.seeds.to_string();
        let output = copy.join("output");
        let file = fs::File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let mut command = Command::new(program);
        command.args(["--seeds", &seeds, "--progress", "--shrink", "0"]).stdout(file).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("the seeds do not run: {error}"))?;
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                let said = read(&output)?;
                let passed = said.lines().filter(|line| line.starts_with("passed ")).count();
                return Ok((!status.success()).then(|| format!("after {passed} seeds that passed")));
            }
            let length = fs::metadata(&output).map_or(0, |file| file.len());
            if length != seen {
                (seen, since) = (length, Instant::now());
            } else if since.elapsed() > STUCK_AFTER {
                let _ = child.kill();
                let _ = child.wait();
                let passed = read(&output)?.lines().filter(|line| line.starts_with("passed ")).count();
                return Ok(Some(format!("after {passed} seeds that passed, by one that does not end")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Copies the files that are tracked, and those that are new and not ignored.
fn copy_sources(copy: &Path) -> TaskResult {
    let listed = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).output();
    let listed = listed.map_err(|error| format!("git does not run: {error}"))?;
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        let (from, to) = (Path::new(file), copy.join(file));
        let Ok(bytes) = fs::read(from) else { continue };
        // A file that has not changed is not written, so that it is not built again.
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        fs::write(&to, bytes).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> TaskResult<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> TaskResult {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
