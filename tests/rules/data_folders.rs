//! Data folders know their owner: a folder that was moved, copied from elsewhere, damaged or lost
//! is noticed before anything is done.

use std::path::Path;

use marlowe::{App, Config, RunError, Running, Table, Topic};

use crate::scene::{TestResult, drain, start, stop, within};

fn program(app: &str) -> (App, Topic<String, u64>, Table<String, u64>) {
    let mut app = App::new(app);
    let numbers = app.topic::<String, u64>("numbers").partitions(2);
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    (app, numbers, sums)
}

fn config(folder: &Path) -> Config {
    Config::default().without_web().data_dir(folder)
}

/// Sends `count` numbers, processes them and stops.
async fn fill(app: &str, folder: &Path, count: u64) -> TestResult {
    let (app, numbers, _) = program(app);
    let mut running = start(app, config(folder)).await?;
    let to = running.open(numbers);
    for number in 0..count {
        to.send(&format!("key-{number}"), &number).await?;
    }
    drain(&mut running).await?;
    stop(running).await?;
    Ok(())
}

/// Returns the number of rows.
async fn rows(app: &str, config: Config) -> Result<u64, Box<dyn std::error::Error>> {
    let (app, _, sums) = program(app);
    let mut running = start(app, config).await?;
    drain(&mut running).await?;
    let rows = running.open(sums.view()).len().await?;
    stop(running).await?;
    Ok(rows)
}

async fn refused(app: &str, folder: &Path) -> String {
    let started: Result<Running, RunError> = program(app).0.start(config(folder)).await;
    let error = started.err().unwrap_or_else(|| panic!("it starts"));
    assert!(matches!(error, RunError::DataFolder { .. } | RunError::LostBroker { .. }), "{error}");
    error.to_string()
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap_or_else(|error| panic!("{} to {}: {error}", from.display(), to.display()));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = std::fs::copy(entry.path(), to).unwrap(),
        }
    }
}

#[tokio::test]
async fn another_apps_folder_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    fill("one", folder.path(), 10).await?;
    let told = refused("two", folder.path()).await;
    assert!(
        told.contains("belongs to app `one`, and this is app `two`") && told.contains("--data-dir of its own"),
        "{told}"
    );
    // The broker knows its app, too.
    std::fs::remove_file(folder.path().join("folder.json"))?;
    let told = refused("two", folder.path()).await;
    assert!(told.contains("belongs to app `one`, not to app `two`"), "{told}");
    assert_eq!(rows("one", config(folder.path())).await?, 10);
    assert_eq!(rows("one", config(folder.path())).await?, 10, "with the file that was written again");
    Ok(())
}

#[tokio::test]
async fn a_lost_broker_is_not_a_new_broker() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (broker, away) = (folder.path().join("broker"), folder.path().join("away"));
    let data = broker.join("data.mdb");
    fill("app", folder.path(), 10).await?;
    let other = tempfile::tempdir()?;
    fill("app", other.path(), 5).await?;
    let lose: [(&str, &dyn Fn()); 6] = [
        ("holds no broker", &|| ()),
        ("holds no broker", &|| std::fs::create_dir(&broker).unwrap()),
        ("it has 0 bytes", &|| {
            std::fs::create_dir(&broker).unwrap();
            std::fs::write(&data, "").unwrap();
        }),
        ("is cut off", &|| {
            std::fs::create_dir(&broker).unwrap();
            let bytes = std::fs::read(away.join("data.mdb")).unwrap();
            std::fs::write(&data, &bytes[..20_000]).unwrap();
        }),
        ("damaged data.mdb", &|| {
            std::fs::create_dir(&broker).unwrap();
            std::fs::write(&data, [7; 100_000]).unwrap();
        }),
        ("is expected there", &|| copy(&other.path().join("broker"), &broker)),
    ];
    for (found, lose) in lose {
        rename(&broker, &away);
        lose();
        let told = refused("app", folder.path()).await;
        assert!(told.contains(found) && told.contains("--set-aside"), "not `{found}`: {told}");
        // Without `folder.json`, the tables show that a broker is missing.
        let identity = folder.path().join("folder.json");
        let kept = std::fs::read(&identity)?;
        if !data.exists() {
            std::fs::remove_file(&identity)?;
            let told = refused("app", folder.path()).await;
            assert!(told.contains("holds tables, and the broker"), "{told}");
            std::fs::write(&identity, kept)?;
        }
        if broker.exists() {
            std::fs::remove_dir_all(&broker)?;
        }
        rename(&away, &broker);
        assert_eq!(rows("app", config(folder.path())).await?, 10, "nothing was lost by `{found}`");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_left_is_set_aside_on_request() -> TestResult {
    let folder = tempfile::tempdir()?;
    fill("app", folder.path(), 10).await?;
    let aside = || {
        let mut config = config(folder.path());
        config.set_aside = true;
        config
    };
    assert_eq!(rows("app", aside()).await?, 10, "nothing is lost, so nothing is set aside");
    // Nothing is set aside either if the folder is only used with another broker.
    let memory = marlowe::embedded::EmbeddedBroker::in_memory(marlowe::embedded::EmbeddedConfig::default());
    let other = program("app").0.start(aside().broker(std::sync::Arc::new(memory))).await;
    assert!(matches!(other.err(), Some(RunError::DataFolder { .. })));
    assert!(!folder.path().join("set-aside-1").exists());
    std::fs::remove_dir_all(folder.path().join("broker"))?;
    assert_eq!(rows("app", aside()).await?, 0);
    assert!(folder.path().join("set-aside-1").join("tables-0").is_dir(), "they are there for who wants them");
    fill("app", folder.path(), 3).await?;
    assert_eq!(rows("app", config(folder.path())).await?, 3);
    Ok(())
}

#[tokio::test]
async fn stores_that_were_swapped_or_come_from_elsewhere_are_refused() -> TestResult {
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fill("app", folder.path(), 10).await?;
    fill("app", other.path(), 20).await?;
    let tables = folder.path().join("tables-0");
    let [zero, one, away] = ["sums-0", "sums-1", "away"].map(|store| tables.join(store));
    let failed = async || -> Result<String, Box<dyn std::error::Error>> {
        let error = match program("app").0.start(config(folder.path())).await {
            Ok(mut running) => {
                let error = within(running.failed()).await;
                let _ = stop(running).await;
                error
            }
            Err(error) => error,
        };
        assert!(matches!(error, RunError::Store { .. }), "{error}");
        Ok(error.to_string())
    };
    let swap = || {
        rename(&zero, &away);
        rename(&one, &zero);
        rename(&away, &one);
    };
    swap();
    let told = failed().await?;
    assert!(told.contains("of app `app`") && told.contains("it was moved or copied"), "{told}");
    swap();
    rename(&zero, &away);
    copy(&other.path().join("tables-0").join("sums-0"), &zero);
    let told = failed().await?;
    assert!(told.contains("it was moved or copied"), "{told}");
    std::fs::remove_dir_all(&zero)?;
    rename(&away, &zero);
    assert_eq!(rows("app", config(folder.path())).await?, 10);
    Ok(())
}

#[tokio::test]
async fn a_damaged_store_is_rebuilt() -> TestResult {
    let folder = tempfile::tempdir()?;
    fill("app", folder.path(), 200).await?;
    for store in ["sums-0", "sums-1"] {
        let data = folder.path().join("tables-0").join(store).join("data.mdb");
        let mut bytes = std::fs::read(&data)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
        bytes[2 * 4096..used].fill(0xff);
        std::fs::write(&data, bytes)?;
    }
    assert_eq!(rows("app", config(folder.path())).await?, 200);
    assert!(folder.path().join("tables-0").join("sums-0").join("damaged.mdb").exists());
    Ok(())
}
