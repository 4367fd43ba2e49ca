//! Tests of a worker whose disk does not answer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::common::TestResult;
use crate::program::{Worker, pause, post};

/// The C source of a library in which `fsync` and `fdatasync` wait for as long as the file named by
/// the variable `HANGS` exists.
const HANGING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void hang(void) {
    const char *file = getenv("HANGS");
    while (file && access(file, F_OK) == 0) usleep(10000);
}

int fdatasync(int fd) {
    hang();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd) {
    hang();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"#;

fn library(folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let (source, library) = (folder.join("hanging.c"), folder.join("hanging.so"));
    std::fs::write(&source, HANGING)?;
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status()?;
    assert!(built.success());
    Ok(library)
}

/// Returns the status of a `GET` of `path`, or `None` if no answer comes within five seconds.
fn get(web: &str, path: &str) -> Option<u16> {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5)));
    let agent = config.http_status_as_error(false).build().new_agent();
    agent.get(format!("http://{web}{path}")).call().ok().map(|answer| answer.status().as_u16())
}

#[test]
fn n1_6_a_hanging_disk_is_reported_and_blocks_nothing_else() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (data, hangs) = (folder.path().join("data"), folder.path().join("hangs"));
    let (data, library) = (data.to_str().ok_or("text")?, library(folder.path())?);
    let environment = [("LD_PRELOAD", library.to_str().ok_or("text")?), ("HANGS", hangs.to_str().ok_or("text")?)];
    let worker = Worker::start_with(&["--data-dir", data], &environment);
    assert!(worker.post("words", &json!({ "value": "before" })));
    worker.wait_for_row("counts", "before", &json!(1));

    std::fs::write(&hangs, "")?;
    let web = worker.web();
    let posting = {
        let web = web.clone();
        std::thread::spawn(move || post(&web, "words", &json!({ "value": "meanwhile" })))
    };
    for _ in 0..3 {
        for path in ["/healthz", "/readyz", "/metrics", "/tables/counts/before"] {
            assert_eq!(get(&web, path), Some(200), "{path}");
        }
        pause(Duration::from_secs(1));
    }
    assert!(!posting.is_finished(), "what is not on the disk is not acknowledged");

    std::fs::remove_file(&hangs)?;
    assert!(posting.join().is_ok_and(|sent| sent));
    worker.wait_for_row("counts", "meanwhile", &json!(1));
    let said = worker.stop();
    assert!(
        said.err.contains("the disk does not answer: writing to") && said.err.contains("answers again"),
        "{said:?}"
    );
    Ok(())
}
