//! The programs of the systems: how they are built and started, and which version they have.

use std::path::Path;
use std::process::Command;

use crate::PeersResult;
use crate::setting::Setting;
use crate::system::System;

/// Builds a system's program. The programs in Rust are built together with the harness.
pub(crate) fn build(setting: &Setting, system: System) -> PeersResult<()> {
    let folder = setting.folder(system);
    if !folder.is_dir() {
        let (title, folder) = (system.title(), folder.display());
        return Err(format!("there is no program of {title} at {folder}: leave it out with --systems").into());
    }
    let workshop = setting.workshop();
    std::fs::create_dir_all(&workshop).map_err(|error| format!("cannot create {}: {error}", workshop.display()))?;
    match system {
        System::Bare | System::Marlowe => Ok(()),
        System::KafkaStreams => {
            needs("java", "-version", "a JDK, 17 or later (Debian: `openjdk-17-jdk-headless`)", system)?;
            needs("mvn", "-version", "Maven (Debian: `maven`)", system)?;
            run(Command::new("mvn").args(["-q", "package"]).current_dir(&folder))
        }
        System::Goka => {
            needs("go", "version", "Go (https://go.dev/dl)", system)?;
            let program = workshop.join("goka-peer");
            run(Command::new("go").args(["build", "-o"]).arg(program).arg(".").current_dir(&folder))
        }
        System::Faust | System::Quix => {
            needs("python3", "--version", "Python, 3.10 or later (Debian: `python3-venv`)", system)?;
            environment(&folder, &workshop.join(system.name()))
        }
    }
}

/// Creates a virtual environment with the packages that a program requires, unless it exists.
fn environment(folder: &Path, environment: &Path) -> PeersResult<()> {
    let requirements = folder.join("requirements.txt");
    let wanted = std::fs::read(&requirements);
    let wanted = wanted.map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    let stamp = environment.join("requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let pip = environment.join("bin").join("pip");
    run(Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&requirements))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()).into())
}

/// Returns the command that starts a system's program, without the arguments of the contract.
pub(crate) fn program(setting: &Setting, system: System) -> Command {
    let (folder, workshop) = (setting.folder(system), setting.workshop());
    match system {
        System::Bare | System::Marlowe => Command::new(setting.programs().join(format!("{}-peer", system.name()))),
        System::KafkaStreams => {
            let built = folder.join("target");
            let mut command = Command::new("java");
            let path = format!("{}:{}/*", built.join("classes").display(), built.join("lib").display());
            command.args(["-cp", &path, "peers.Main"]);
            command
        }
        System::Goka => Command::new(workshop.join("goka-peer")),
        System::Faust | System::Quix => {
            let mut command = Command::new(workshop.join(system.name()).join("bin").join("python"));
            command.arg(folder.join("app.py"));
            command
        }
    }
}

/// Checks that valgrind is installed, because callgrind is part of it.
pub(crate) fn needs_callgrind() -> PeersResult<()> {
    let there = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if there { Ok(()) } else { Err("`valgrind` does not run: install it (Debian: `valgrind`)".into()) }
}

/// Returns a command that runs `program` under callgrind, which writes to `out` when it ends.
pub(crate) fn under_callgrind(program: &Command, out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program.get_program()).args(program.get_args());
    command
}

/// Returns the version of the system that is measured.
pub(crate) fn version(setting: &Setting, system: System) -> PeersResult<String> {
    let Some((file, before)) = system.version_at() else {
        return match system {
            System::Marlowe => {
                let manifest = std::fs::read_to_string(setting.workspace.join("Cargo.toml")).unwrap_or_default();
                let version = version_in(&manifest, "version = \"").unwrap_or_default();
                Ok(format!("{version}, commit {}", commit(&setting.workspace)))
            }
            _ => Ok(format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1)),
        };
    };
    let path = setting.folder(system).join(file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let version = version_in(&text, before);
    version.ok_or_else(|| format!("{} does not say which version: there is no `{before}`", path.display()).into())
}

fn version_in(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect())
}

/// Returns the commit that is checked out.
fn commit(workspace: &Path) -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(workspace).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".into() } else { text }
}

/// Checks that `tool`, which `system` needs, is installed.
fn needs(tool: &str, question: &str, what: &str, system: System) -> PeersResult<()> {
    let there = Command::new(tool).arg(question).output().is_ok_and(|output| output.status.success());
    if there {
        return Ok(());
    }
    let title = system.title();
    Err(format!("{title} needs {what}, and `{tool}` does not run: install it, or leave {title} out with --systems")
        .into())
}

fn run(command: &mut Command) -> PeersResult<()> {
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn a_version_is_read_from_what_a_program_requires() {
        let pom = "<artifactId>kafka-streams</artifactId>\n      <version>4.1.2</version>\n";
        let before = "<artifactId>kafka-streams</artifactId>\n      <version>";
        assert_eq!(version_in(pom, before).as_deref(), Some("4.1.2"));
        let requirements = "quixstreams==3.28.1\norjson==3.0\n";
        assert_eq!(version_in(requirements, "quixstreams==").as_deref(), Some("3.28.1"));
        assert_eq!(version_in(requirements, "faust-streaming=="), None);
    }
}
