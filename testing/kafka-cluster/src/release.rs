//! An installed release of Kafka, and the JVM that runs it. Its installation is in `installation`.

mod installation;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::Compiles;
use crate::error::Error;
use crate::version::Version;

/// An installed release of Apache Kafka, below `target/kafka`.
#[derive(Debug, Clone)]
pub struct Release {
    version: Version,
    folder: PathBuf,
}

impl Release {
    /// Returns Kafka's version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the command for a JVM with Kafka on its class path and a heap of `heap_megabytes`
    /// MiB. The caller adds the main class.
    pub(crate) fn java(&self, heap_megabytes: u32, compiles: Compiles) -> Command {
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{heap_megabytes}m"));
        if compiles == Compiles::Quickly {
            command.arg("-XX:TieredStopAtLevel=1");
        }
        command.args(["-XX:+UseSerialGC", "-Xshare:auto", "-XX:-UsePerfData"]);
        command.args(["-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]);
        command.args(["-Dorg.slf4j.simpleLogger.logFile=System.out", "-Dorg.slf4j.simpleLogger.showDateTime=true"]);
        command.arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS");
        // Each client and coordinator would log some hundred lines of settings.
        command.arg("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn");
        command.arg("-cp").arg(self.folder.join("libs").join("*"));
        command.stdin(Stdio::null());
        command
    }
}

/// Returns the error for a `java` that cannot be started.
pub(crate) fn no_java(source: std::io::Error) -> Error {
    Error::Program { program: "java", what: "a JDK, 17 or later", package: "openjdk-17-jdk-headless", source }
}

/// Returns the folder of Kafka and of the clusters' data: `kafka` in Cargo's target folder.
pub(crate) fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace.join(target).join("kafka")
}
