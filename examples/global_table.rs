//! Exchange rates: every worker has a copy of a global table, so an agent reads it without waiting.
//!
//! `cargo run --example global_table`, and in another terminal:
//!
//! ```sh
//! curl http://127.0.0.1:6066/tables/turnover/euros       # 100 sales of 10 USD, each worth 5 euros
//! curl -X PUT "http://127.0.0.1:6066/tables/rates/GBP?wait=1000" -d 1.25
//! curl -X POST http://127.0.0.1:6066/topics/sales -d '{"value": ["GBP", 10]}'
//! ```
//!
//! With `-- --workers 3` three workers run in this process. The turnover is exact on each, because
//! a row has one writer.

use std::time::Duration;

use marlowe::App;

fn main() {
    let mut app = App::new("global-table");
    let sales = app.topic::<(), (String, f64)>("sales"); // (currency, amount)
    let rates = app.global_table::<String, f64>("rates");
    let turnover = app.global_table::<String, f64>("turnover").merge(|total, more| *total += more);

    // A sale without a rate is tried again five times. Then it goes to the topic `no-rate`, and the
    // other sales go on.
    let no_rate = app.topic::<(), (String, f64)>("no-rate");
    app.agent("convert", sales).with((rates, turnover)).retries(5).dead_letter(no_rate).each(
        async |(rates, turnover), (currency, amount)| {
            let rate = rates.get(&currency).ok_or_else(|| format!("no rate for {currency}"))?;
            turnover.send("euros", amount * rate); // merged into the row, by its owner
            Ok(())
        },
    );

    app.task("market").on_leader().with((rates, sales)).run(async |(rates, sales)| {
        let sent = rates.replace("USD", 0.5).await?;
        rates.wait_for(&sent).await; // now this worker's copy has it, and the others soon will
        for _ in 0..100 {
            sales.send(&(), &("USD".to_owned(), 10.0)).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });
    app.main()
}
