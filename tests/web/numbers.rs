//! Tests of `GET /metrics`.

use std::collections::HashMap;

use crate::common::TestResult;
use crate::common::client::Client;
use crate::program::program;

/// Returns the samples of a scrape. Each must follow the help and the type of its family.
fn scrape(client: &Client) -> HashMap<String, f64> {
    let page = client.get("/metrics");
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let mut types: HashMap<&str, &str> = HashMap::new();
    let mut helps: Vec<&str> = Vec::new();
    let mut samples = HashMap::new();
    for line in page.text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(types.insert(name, kind), None, "{name} has two types");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            helps.push(rest.split_once(' ').unwrap().0);
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end)).unwrap_or(family);
            assert!(types.contains_key(family) || types.get(base) == Some(&"histogram"), "{line} has no type");
            assert!(helps.contains(&family) || helps.contains(&base), "{line} has no help");
            assert_eq!(samples.insert(name.to_owned(), value.parse().unwrap()), None, "{name} is there twice");
        }
    }
    assert_eq!(types.get("marlowe_commit_seconds"), Some(&"histogram"));
    samples
}

/// Returns the sum of the samples that begin with `name`.
fn sum(samples: &HashMap<String, f64>, name: &str) -> f64 {
    samples.iter().filter(|(sample, _)| sample.starts_with(name)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn the_numbers_are_right_after_a_drain() -> TestResult {
    let (running, clients) = program().visited(2, 200).await?;
    let scrapes: Vec<_> = clients.iter().map(scrape).collect();
    let total = |name: &str| scrapes.iter().map(|samples| sum(samples, name)).sum::<f64>();
    assert_eq!(total("marlowe_events_total{agent=\"count\"}"), 200.0);
    assert_eq!(total("marlowe_events_handled_total{agent=\"count\"}"), 200.0);
    assert_eq!(total("marlowe_events_failed_total{agent=\"count\"}"), 0.0);
    assert_eq!(total("marlowe_table_rows{table=\"pages\"}"), 200.0);
    assert!(total("marlowe_table_bytes{table=\"pages\"}") > 200.0 * 9.0);
    assert_eq!(total("marlowe_table_cached_rows{table=\"pages\"}"), 200.0);
    assert_eq!(total("marlowe_worker_leader"), 1.0);
    assert_eq!(total("marlowe_lag_records{topic=\"visits\""), 0.0);
    let lags =
        scrapes.iter().flat_map(HashMap::keys).filter(|name| name.starts_with("marlowe_lag_records{topic=\"visits\""));
    assert_eq!(lags.count(), 4, "each partition is told by the worker that has it");
    for samples in &scrapes {
        assert_eq!(samples["marlowe_global_copy_rows{table=\"totals\"}"], 1.0);
        assert_eq!(samples["marlowe_worker_state{state=\"ready\"}"], 1.0);
        assert_eq!(samples["marlowe_worker_state{state=\"restoring\"}"], 0.0);
        assert_eq!(samples["marlowe_restore_remaining_records"], 0.0);
        assert!(sum(samples, "marlowe_shards{") > 0.0);
        assert!(sum(samples, "marlowe_commit_seconds_bucket") > 0.0);
        assert!(sum(samples, "marlowe_commit_seconds_count") > 0.0);
        assert!(samples.keys().any(|name| name.starts_with("marlowe_table_cache_misses_total{table=\"pages\"}")));
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn events_that_wait_are_a_lag() -> TestResult {
    let mut program = program();
    let slow = program.app.topic::<String, u64>("slow");
    program.app.agent("waits", slow).each(async |_, _| {
        std::future::pending::<()>().await;
        Ok(())
    });
    let (running, clients) = program.start(1).await?;
    for number in 0..7 {
        running.open(slow).send(&"one-key".to_owned(), &number).await?;
    }
    assert_eq!(sum(&scrape(&clients[0]), "marlowe_lag_records{topic=\"slow\""), 7.0);
    drop(running);
    Ok(())
}
