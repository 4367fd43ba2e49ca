//! A word counter, to try the command line on: `cargo run --example cli_demo -- --help`.

use std::time::Duration;

use marlowe::App;
use marlowe::broker::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(clap::Args)]
struct Options {
    /// Feed the first N numbers into the topic numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    feed: u64,
    /// Start the table stock with the rows of the Faust app ID
    #[arg(long, value_name = "ID")]
    take_over: Option<String>,
    /// Also audit orders, and fail on one of thirteen pieces
    #[arg(long)]
    audit: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Order {
    item: String,
    pieces: u64,
}

/// A reply that panics when it is dropped, outside of the handling of any event.
struct Burst;

impl Drop for Burst {
    fn drop(&mut self) {
        panic!("it bursts");
    }
}

fn main() {
    let mut app = App::new("cli-demo");
    app.version(env!("CARGO_PKG_VERSION"));
    let options: Options = app.options();
    let words = app.topic::<Option<String>, String>("words");
    let orders = app.topic::<u64, Order>("orders").partitions(2);
    let numbers = app.topic::<(), u64>("numbers");
    let counts = app.table::<String, u64>("counts");
    let stock = app.table::<u64, u64>("stock");
    if let Some(faust) = &options.take_over {
        stock.take_over(faust);
    }
    let total = app.global_table::<String, u64>("total").merge(|total, more| *total += more);

    app.agent("count", words.group_by(|word| word.clone())).with((counts, total)).each(
        async |(counts, total), word: String| {
            if word == "fail" {
                return Err("the word is `fail`".into());
            }
            if word == "slow" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            counts.update(word.clone(), |count| *count += 1);
            total.send("words", 1);
            // A reply that nobody has asked for is dropped after its event.
            Ok((word == "burst").then(|| Burst))
        },
    );
    app.agent("order", orders).with(stock).each_event(async |stock, event| {
        stock.update(event.key, |pieces| *pieces += event.value.pieces);
        Ok(())
    });
    if options.audit {
        let audited = app.table::<u64, u64>("audited");
        app.agent("audit", orders).with(audited).retries(0).each_event(async |audited, event| {
            if event.value.pieces == 13 {
                return Err("an order of thirteen".into());
            }
            audited.update(event.key, |orders| *orders += 1);
            Ok(())
        });
    }
    app.source("feed", numbers).run(async move |numbers| {
        for number in numbers.position()..options.feed {
            numbers.send(&(), &number, Timestamp::default(), number + 1).await?;
        }
        Ok(())
    });
    app.agent("tally", numbers).with(total).each(async |total, _| {
        total.send("numbers", 1);
        Ok(())
    });
    app.main()
}
