//! The count of visits with a Marlowe agent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use marlowe::kafka::KafkaConfig;
use marlowe::{App, Config};
use marlowe_broker::{Entropy, SystemEntropy};

use super::visit::Visit;
use super::{Case, Stretch};
use crate::BenchResult;

/// Counts visits per page with an agent in one lane.
pub(crate) async fn count(
    case: Case,
    brokers: &str,
    topic: &str,
    events: u64,
    stretch: Stretch,
) -> BenchResult<Stretch> {
    let mut app = App::new(&format!("bench-{:08x}", SystemEntropy.next() as u32));
    if case == Case::AtLeastOnce {
        app.at_least_once();
    }
    let visits = app.topic::<String, Visit>(topic);
    let counts = app.table::<String, u64>("counts");
    let marks = [stretch.first, stretch.last];
    let stretch = Arc::new(Mutex::new(stretch));
    let (noted, counted) = (stretch.clone(), AtomicU64::new(0));
    app.agent("count", visits).with(counts).each(async move |counts, visit: Visit| {
        counts.update(visit.page, |count| *count += 1);
        // Only one lane counts, so there is no need for an atomic addition, whose cost should not
        // be measured.
        let now = counted.load(Ordering::Relaxed) + 1;
        counted.store(now, Ordering::Relaxed);
        if marks.contains(&now)
            && let Ok(mut stretch) = noted.lock()
        {
            stretch.counted(now);
        }
        Ok(())
    });
    let kafka = KafkaConfig::new(brokers).read_environment()?;
    let config = Config::default().kafka(kafka).without_web().lanes(1);
    let mut running = app.start(config).await?;
    running.ready().await?;
    running.drain().await?;
    let total: u64 = running.open(counts.view()).iter().await?.into_iter().map(|(_, count)| count).sum();
    running.stop().await?;
    if total != events {
        return Err(format!("{total} of {events} events were counted").into());
    }
    let mut stretch = stretch.lock().map_err(|_| "a handler panicked")?;
    Ok(std::mem::replace(&mut *stretch, Stretch::of(events)))
}
