use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::Compiles;
use crate::error::Error;
use crate::storage;
use crate::version::Version;

const POM: &str = include_str!("../pom.xml");

/// An installed release of Apache Kafka, below `target/kafka`.
#[derive(Debug, Clone)]
pub struct Release {
    version: Version,
    folder: PathBuf,
}

impl Release {
    /// Installs the release of this version. The first call brings it through Maven; when several processes ask at the same
    /// time, one does it, and the others wait.
    pub fn install(version: &Version) -> Result<Release, Error> {
        let root = root();
        // What the pom says is part of the name, so that a changed pom is resolved again.
        let mut hasher = DefaultHasher::new();
        POM.hash(&mut hasher);
        let name = format!("{version}-{:08x}", hasher.finish() as u32);
        let release = Release { version: version.clone(), folder: root.join(&name) };
        if release.folder.is_dir() {
            return Ok(release);
        }
        fs::create_dir_all(&root).map_err(Error::file("create", &root))?;
        let lock_path = root.join(format!("{name}.lock"));
        let lock = File::create(&lock_path).map_err(Error::file("create", &lock_path))?;
        lock.lock().map_err(Error::file("lock", &lock_path))?;
        if release.folder.is_dir() {
            return Ok(release);
        }
        let partial = Release { version: version.clone(), folder: root.join(format!("{name}.partial")) };
        if partial.folder.exists() {
            fs::remove_dir_all(&partial.folder).map_err(Error::file("remove", &partial.folder))?;
        }
        partial.resolve()?;
        storage::make_template(&partial)?;
        fs::rename(&partial.folder, &release.folder).map_err(Error::file("rename", &partial.folder))?;
        Ok(release)
    }

    /// Returns Kafka's version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A JVM with Kafka on its class path.
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
        // Some hundred lines of settings, from every client and coordinator.
        command.arg("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn");
        command.arg("-cp").arg(self.folder.join("libs").join("*"));
        command.stdin(Stdio::null());
        command
    }

    fn resolve(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(Error::file("create", &self.folder))?;
        let pom = self.folder.join("pom.xml");
        fs::write(&pom, POM).map_err(Error::file("write", &pom))?;
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "-f"]).arg(&pom).args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
        command.arg(format!("-Dkafka.version={}", self.version));
        command.arg(format!("-DoutputDirectory={}", self.folder.join("libs").display()));
        command.stdin(Stdio::null());
        let output = command.output().map_err(|source| Error::Program {
            program: "mvn",
            what: "Apache Maven",
            package: "maven",
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let output_text = String::from_utf8_lossy(&said).into_owned();
        Err(Error::Resolve { version: self.version.clone(), status: output.status, output: output_text })
    }
}

/// `java` could not be started.
pub(crate) fn no_java(source: std::io::Error) -> Error {
    Error::Program { program: "java", what: "a JDK, 17 or later", package: "openjdk-17-jdk-headless", source }
}

/// Where Kafka and the data of clusters are.
pub(crate) fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace.join(target).join("kafka")
}
