//! The formatted storage of brokers, which is copied from a template. Also ids, random numbers and
//! the last lines of a text.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::config::Compiles;
use crate::error::Error;
use crate::release::{Release, no_java};

/// The file in which the tool writes the ids of a storage. Each broker has its own ids.
const META: &str = "meta.properties";

/// Has Kafka's own tool format a storage, from which the brokers' storages are copied. Storages
/// differ only in their ids, and a JVM for each broker would cost most of a second.
pub(crate) fn make_template(release: &Release) -> Result<(), Error> {
    let folder = release.folder().join("template");
    let properties = release.folder().join("template.properties");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:9093\n\
         listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n",
        folder.display()
    );
    fs::write(&properties, text).map_err(Error::file("write", &properties))?;
    let mut command = release.java(64, Compiles::Quickly);
    command.args(["kafka.tools.StorageTool", "format", "--cluster-id", &id(), "--config"]).arg(&properties);
    let output = command.output().map_err(no_java)?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let output_text = last_lines(&String::from_utf8_lossy(&said));
        return Err(Error::Format { path: folder, status: output.status, output: output_text });
    }
    Ok(())
}

/// Creates the formatted storage of a broker, with ids of its own.
pub(crate) fn format(release: &Release, folder: &Path, cluster_id: &str, node_id: i32) -> Result<(), Error> {
    copy(&release.folder().join("template"), folder)?;
    let meta = folder.join(META);
    let text = format!("version=1\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={}\n", id());
    fs::write(&meta, text).map_err(Error::file("write", &meta))
}

/// Copies all files that the tool wrote, except the one with the ids.
///
/// Versions of the tool write the first metadata to different files. Up to 4.3, the file is
/// `bootstrap.checkpoint`. From 4.4 on, it is the first snapshot of the log `__cluster_metadata-0`.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::file("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let path = entry.map_err(Error::file("read", from))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else if name != META {
            fs::copy(&path, to.join(name)).map_err(Error::file("copy", &path))?;
        }
    }
    Ok(())
}

/// Returns a new id in Kafka's format: 16 bytes in base 64, which are 22 characters. This one has
/// letters only.
pub(crate) fn id() -> String {
    let letters = |mut random: u64| {
        (0..11).map(move |_| {
            let letter = b'a' + (random % 26) as u8;
            random /= 26;
            char::from(letter)
        })
    };
    // The first 21 characters may be any. The last one has only two bits of its own, and its other
    // bits are zero: A, Q, g or w.
    letters(random()).chain(letters(random()).take(10)).chain(['w']).collect()
}

/// Returns a random number. The standard library seeds its hashers with random numbers.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// Returns the last 30 lines of a text, for error messages.
pub(crate) fn last_lines(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    #[test]
    fn n5_what_either_format_tool_writes_is_copied_but_for_the_ids() -> Result<(), Error> {
        let snapshot = "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";
        for written in ["bootstrap.checkpoint", snapshot] {
            let root = Folder::new()?;
            let (template, storage) = (root.path().join("template"), root.path().join("data"));
            let path = template.join(written);
            let parent = path.parent().expect("it is in the template");
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
            for (path, text) in [(path.clone(), "metadata"), (template.join(META), "ids")] {
                fs::write(&path, text).map_err(Error::file("write", &path))?;
            }
            copy(&template, &storage)?;
            assert_eq!(fs::read_to_string(storage.join(written)).ok().as_deref(), Some("metadata"), "{written}");
            assert!(!storage.join(META).exists());
        }
        Ok(())
    }
}
