//! The faults of brokers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kafka_cluster::Cluster;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::Result;
use crate::chance::Chance;
use crate::report::Report;

/// Stops, kills and pauses brokers until `stop` is set, usually one at a time and sometimes all.
/// All of them run again at the end.
///
/// # Errors
/// When a broker does not come back.
pub async fn suffer(cluster: Arc<Cluster>, chance: Chance, stop: &AtomicBool, report: &Report) -> Result {
    while !stop.load(Ordering::Relaxed) {
        // It waits in short steps, so that it notices `stop` soon.
        for _ in 0..chance.number(8..30) {
            if !stop.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(500)).await;
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = chance.number(1..cluster.brokers().len() as u64 + 1) as i32;
        let down = chance.millis(500..6000);
        let what = chance.number(0..100);
        let (told, counted): (String, &'static str) = match what {
            0..40 => (format!("broker {id} is stopped"), "brokers stopped"),
            40..75 => (format!("broker {id} is killed"), "brokers killed"),
            75..88 => (format!("broker {id} hangs"), "brokers hung"),
            88..94 => ("all brokers are stopped".into(), "all brokers stopped"),
            _ => ("all brokers are killed".into(), "all brokers killed"),
        };
        report.tell(&told);
        report.count(counted);
        let begin = cluster.clone();
        spawn_blocking(move || match what {
            0..40 => begin.broker(id).stop(),
            40..75 => begin.broker(id).kill(),
            75..88 => begin.broker(id).pause(),
            88..94 => begin.stop_all(),
            _ => begin.brokers().iter().try_for_each(|broker| broker.kill()),
        })
        .await??;
        sleep(down).await;
        let back = cluster.clone();
        spawn_blocking(move || {
            if (75..88).contains(&what) {
                back.broker(id).resume()?;
            }
            back.start_all()
        })
        .await??;
        report.tell("all brokers are up");
    }
    Ok(())
}
