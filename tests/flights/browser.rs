//! A headless browser that loads a page.

use std::process::Command;
use std::time::Duration;

use crate::common::TestResult;
use crate::common::process::Process;

/// Returns the page as the browser has it after its scripts have run for two seconds of virtual
/// time.
pub(crate) async fn dom(url: &str) -> TestResult<String> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    command.args(["--virtual-time-budget=2000", "--dump-dom", url]);
    let mut browser = Process::start(&mut command)
        .map_err(|error| format!("{error}; this test needs Debian's package `chromium`: apt-get install chromium"))?;
    match browser.ended(Duration::from_secs(60)).await {
        Some(status) if status.success() => Ok(browser.out()),
        Some(status) => Err(format!("chromium ended with {status}: {}", browser.err()).into()),
        None => Err(format!("chromium did not end within a minute: {}", browser.err()).into()),
    }
}
