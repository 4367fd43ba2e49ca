//! How long callers wait with little to do, and what a worker costs with nothing to do.

use std::time::Duration;

use clap::Args;
use marlowe::kafka::KafkaConfig;
use marlowe::{App, Config};
use marlowe_broker::{Entropy, SystemEntropy};
use tokio::time::Instant;

use crate::watch::Watch;
use crate::{BenchResult, runtime};

/// Asks an agent, sends changes and events into tables until a view or a copy shows them, and then
/// does nothing for a while. Prints a JSON line for each way.
#[derive(Args)]
pub(crate) struct Answers {
    /// The bootstrap servers of Kafka, instead of the embedded broker.
    #[arg(long)]
    brokers: Option<String>,
    /// Keep everything in a folder on disk instead of in memory.
    #[arg(long)]
    folder: bool,
    /// The number of questions, and of events, one after the other.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// The number of partitions of each topic and table.
    #[arg(long, default_value_t = 8)]
    partitions: u32,
    /// The seconds in which nothing is done.
    #[arg(long, default_value_t = 5)]
    idle: u64,
}

impl Answers {
    pub(crate) fn run(self) -> BenchResult<()> {
        runtime()?.block_on(self.measure())
    }

    async fn measure(self) -> BenchResult<()> {
        let mut app = App::new(&format!("answers-{:08x}", SystemEntropy.next() as u32));
        app.partitions(self.partitions);
        let questions = app.topic::<String, u64>("questions");
        let sums = app.table::<String, u64>("sums");
        let sum = app.agent("sum", questions).with(sums).each_event(async |sums, question| {
            let sum = sums.get(&question.key).unwrap_or_default() + question.value;
            sums.insert(question.key, sum);
            Ok(sum)
        });
        let (sum, words) = (sum.answers(), app.topic::<String, String>("words"));
        let (own, grouped) = (app.table::<String, u64>("own"), app.table::<String, u64>("grouped"));
        let sent = app.table::<String, u64>("sent").merge(|sum, more| *sum += more);
        let everywhere = app.global_table::<String, u64>("everywhere");
        app.agent("write", words).with((own, sent.inbox(), everywhere)).each_event(
            async |(own, sent, everywhere), event| {
                own.insert(event.key.clone(), 1);
                sent.send(&event.key, 1);
                everywhere.send(&event.key, 1);
                Ok(())
            },
        );
        app.agent("group", words.group_by(|word| word.clone())).with(grouped).each(async |grouped, word: String| {
            grouped.insert(word, 1);
            Ok(())
        });

        let folder = self.folder.then(tempfile::tempdir).transpose()?;
        let mut config = Config::default().without_web();
        if let Some(brokers) = &self.brokers {
            config = config.kafka(KafkaConfig::new(brokers).read_environment()?);
        }
        config.data_dir = folder.as_ref().map(|folder| folder.path().to_owned());
        let mut running = app.start(config).await?;
        running.ready().await?;
        let (asker, words, changes) = running.open((sum, words, sent.inbox()));
        let (own, sent, grouped, everywhere) = running.open((own.view(), sent.view(), grouped.view(), everywhere));

        let mut asked = Vec::new();
        for number in 0..self.count {
            let begun = Instant::now();
            asker.ask(&format!("key-{}", number % 100), &1).await?;
            asked.push(begun.elapsed());
        }
        print("ask", asked);
        let mut changed = Vec::new();
        for number in 0..self.count {
            let begun = Instant::now();
            let change = changes.send(&format!("change-{number}"), 1).await?;
            sent.wait_for(&change).await?;
            changed.push(begun.elapsed());
        }
        print("change in an inbox, wait_for", changed);
        let mut seen = [const { Vec::new() }; 4];
        for number in 0..self.count * 4 {
            let (way, word) = (number % 4, format!("word-{number}"));
            let begun = Instant::now();
            words.send(&word, &word).await?;
            loop {
                let shows = match way {
                    0 => own.get(&word).await?.is_some(),
                    1 => grouped.get(&word).await?.is_some(),
                    2 => sent.get(&word).await?.is_some(),
                    _ => everywhere.get(&word).is_some(),
                };
                if shows {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            seen[way].push(begun.elapsed());
        }
        let ways = ["own key, view", "group_by, table, view", "inbox, table, view", "global table, copy"];
        ways.into_iter().zip(seen).for_each(|(way, seen)| print(way, seen));

        let watch = Watch::start();
        tokio::time::sleep(Duration::from_secs(self.idle)).await;
        let (seconds, cpu) = watch.seconds();
        let share = cpu / seconds * 100.0;
        println!(
            "{}",
            serde_json::json!({ "case": "idle", "partitions": self.partitions, "percent_of_a_core": share })
        );
        running.stop().await?;
        Ok(())
    }
}

/// Prints the median and the 99th percentile, without the first tenth.
fn print(case: &str, mut times: Vec<Duration>) {
    times.drain(..times.len() / 10);
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("{}", serde_json::json!({ "case": case, "p50_ms": at(0.5), "p99_ms": at(0.99) }));
}
