//! The page views example: its agents write, send and cast counts, which add up and are served over
//! HTTP.

mod process;

use std::time::Duration;

use process::{Process, example};
use serde_json::{Value, json};

type TestResult = Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn every_view_is_counted_for_its_page_its_user_and_its_path() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut process = Process::start(example("page_views")?.args(["--web", "127.0.0.1:0"]), folder.path())?;
    let mut top = Value::Null;
    for _ in 0..300 {
        if let Some(site) = site(&process)? {
            // Until its shards are open, the server answers that they are not.
            top = get(&site, "/top").await.unwrap_or_default();
            if sum(&top["users"], |row| row.as_u64()) == 200 && sum(&top["pages"], |row| row["views"].as_u64()) == 200 {
                break;
            }
        }
        assert_eq!(process.ended(Duration::from_millis(100)).await?, None, "{}", process.err()?);
    }
    assert_eq!(top["users"], json!([["ada", 67], ["edsger", 66], ["grace", 67]]), "{}", process.err()?);
    assert_eq!(top["pages"][0][0], "/home");
    assert_eq!(top["pages"][0][1]["views"], 80);
    let site = site(&process)?.ok_or("it said where it is")?;
    for user in ["ada", "grace", "edsger"] {
        let path = get(&site, &format!("/tables/paths/{user}")).await?;
        assert_eq!(path["value"].as_array().map(Vec::len), Some(5), "{path}");
    }
    process.signal("TERM")?;
    let status = process.ended(Duration::from_secs(20)).await?;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", process.err()?);
    Ok(())
}

fn sum(rows: &Value, count: impl Fn(&Value) -> Option<u64>) -> u64 {
    rows.as_array().into_iter().flatten().filter_map(|row| count(&row[1])).sum()
}

/// Returns the address that the process prints for its web server, if it has done so.
fn site(process: &Process) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let out = process.out()?;
    let site = out.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
    Ok(site.map(str::to_owned))
}

async fn get(site: &str, path: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let url = format!("{site}{path}");
    let ask = move || ureq::get(&url).call()?.into_body().read_to_string();
    Ok(serde_json::from_str(&tokio::task::spawn_blocking(ask).await??)?)
}
