//! The state file of a store's folder. It tells whether the data may be used after a crash.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "state";
const NEW: &str = "state.new";

/// The content of the state file, which says how safe the data in its folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// All data is on the disk.
    Clean,
    /// Data was written in the boot with this id, and may not be on the disk.
    Dirty(String),
}

/// The boot id where the system has none. It is never equal to the id of a boot, not even to
/// itself.
const UNKNOWN_BOOT: &str = "unknown";

impl State {
    pub(super) fn dirty(boot_id: Option<&str>) -> Self {
        Self::Dirty(boot_id.unwrap_or(UNKNOWN_BOOT).to_owned())
    }

    /// Returns whether the data may be used in the boot `boot_id`. A crash of the process leaves
    /// the data whole, but a crash of the machine does not.
    pub(super) fn is_trusted(&self, boot_id: Option<&str>) -> bool {
        match self {
            Self::Clean => true,
            Self::Dirty(boot) => boot_id.is_some_and(|current| current == boot) && boot != UNKNOWN_BOOT,
        }
    }

    /// Reads the folder's state file. Returns `None` if there is none, or if it does not parse.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(folder.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Self::parse(&bytes))
    }

    /// Parses the content of a state file.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        match String::from_utf8_lossy(bytes).trim() {
            "clean" => Some(Self::Clean),
            text => text.strip_prefix("dirty ").map(|boot| Self::Dirty(boot.to_owned())),
        }
    }

    /// Returns the content of the state file.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Clean => "clean\n".to_owned(),
            Self::Dirty(boot) => format!("dirty {boot}\n"),
        }
    }

    /// Replaces the folder's state file. The new file is on the disk when this returns.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = File::create(folder.join(NEW))?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(folder.join(NEW), folder.join(NAME))?;
        sync_folder(folder)
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    // A folder cannot be opened as a file on these systems, and the rename is journaled.
    Ok(())
}

/// Returns the id of the machine's current boot, if the system has one.
pub(super) fn system_boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dirty_state_is_trusted_in_its_own_boot_only() {
        assert!(State::Clean.is_trusted(None));
        assert!(State::dirty(Some("a")).is_trusted(Some("a")));
        assert!(!State::dirty(Some("a")).is_trusted(Some("b")));
        assert!(!State::dirty(Some("a")).is_trusted(None));
        assert!(!State::dirty(None).is_trusted(None));
        assert!(!State::dirty(None).is_trusted(Some("unknown")));
    }

    #[test]
    fn it_reads_what_it_wrote_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        for state in [State::dirty(Some("b007")), State::Clean] {
            state.write(folder.path()).unwrap();
            assert_eq!(State::read(folder.path()).unwrap(), Some(state));
        }
        fs::write(folder.path().join(NAME), "cle").unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
    }
}
