//! The installation of a release: Maven downloads Kafka, and Kafka's storage tool formats the
//! template of the brokers' storages.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::{Command, Stdio};

use super::{Release, root};
use crate::error::Error;
use crate::storage;
use crate::version::Version;

const POM: &str = include_str!("../../pom.xml");

impl Release {
    /// Installs the release of this version, unless it is installed.
    ///
    /// The first call has Maven download it. When several processes call this at the same time, one
    /// of them installs the release, and the others wait.
    ///
    /// # Errors
    /// [`Error::Program`] when `mvn` or `java` cannot be started, [`Error::Resolve`] when Maven
    /// fails, [`Error::Format`] when Kafka's storage tool fails, and [`Error::File`] when a file
    /// cannot be written.
    pub fn install(version: &Version) -> Result<Release, Error> {
        let root = root();
        // The name contains a hash of the pom, so that a changed pom is resolved again.
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
