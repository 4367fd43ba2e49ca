//! Faults outside the program: the error names the thing and the fix, and nothing is lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use marlowe::{App, Config};

use crate::scene::{TestResult, drain, start, stop, within};

fn program() -> (App, marlowe::Topic<String, String>, marlowe::Table<String, u64>) {
    let mut app = App::new("bad-input");
    app.partitions(2);
    let letters = app.topic::<String, String>("letters");
    let counts = app.table::<String, u64>("counts");
    app.agent("count", letters).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += 1);
        Ok(())
    });
    (app, letters, counts)
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default().without_web().lanes(1).data_dir(folder);
    config.commit_interval = Duration::from_millis(10);
    config
}

/// Returns the error with which the program does not start in `folder`.
async fn refusal(folder: &Path) -> String {
    match start(program().0, config(folder)).await {
        Ok(_) => panic!("it started in {}", folder.display()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_second_program_on_the_folder_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (app, letters, counts) = program();
    let mut running = start(app, config(folder.path())).await?;
    let text = refusal(folder.path()).await;
    assert!(text.contains(&folder.path().display().to_string()) && text.contains("use"), "{text}");
    running.open(letters).send(&"k".to_owned(), &"hello".to_owned()).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(counts.view()).get("k").await?, Some(1));
    stop(running).await?;
    // The folder is free when the first program has stopped.
    stop(start(program().0, config(folder.path())).await?).await?;
    Ok(())
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder")?;
    for place in [file.as_path(), Path::new("/proc/marlowe-data")] {
        let text = refusal(place).await;
        assert!(text.contains(&place.display().to_string()), "{text}");
    }
    Ok(())
}

/// A small file system for one test, if the operating system lets the test mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(folder.path());
        mount.output().ok()?.status.success().then_some(Self(folder))
    }

    fn grow(&self, megabytes: u32) -> std::io::Result<bool> {
        let size = format!("remount,size={megabytes}m");
        Ok(Command::new("mount").args(["-o", &size]).arg(self.0.path()).output()?.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_loses_nothing_committed() -> TestResult {
    let Some(disk) = SmallDisk::mount(24) else {
        println!("skipped: the system does not let this test mount a small disk");
        return Ok(());
    };
    let place = disk.0.path().join("data");
    let (app, letters, _) = program();
    let mut running = start(app, config(&place)).await?;
    let to = running.open(letters);
    let long = "x".repeat(100_000);
    let mut taken = 0;
    let fills = async {
        for number in 0..2000u64 {
            if let Err(error) = to.send(&format!("key-{}", number % 50), &long).await {
                return error.to_string();
            }
            taken += 1;
        }
        "the disk is not full".to_owned()
    };
    let text = within(async {
        tokio::select! {
            error = running.failed() => error.to_string(),
            text = fills => text,
        }
    })
    .await;
    assert!(text.contains(&place.display().to_string()) || text.to_lowercase().contains("full"), "{text}");
    drop((running, to));
    assert!(taken > 0);
    assert!(disk.grow(200)?);
    let (app, _, counts) = program();
    let mut running = start(app, config(&place)).await?;
    drain(&mut running).await?;
    let counted: u64 = running.open(counts.view()).iter().await?.into_iter().map(|(_, count)| count).sum();
    // The letter that met the full disk may be written although its sender saw an error.
    assert!(counted == taken || counted == taken + 1, "{counted} of {taken}");
    stop(running).await?;
    Ok(())
}
