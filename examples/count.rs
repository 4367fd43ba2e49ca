//! A word count: a source feeds a topic, an agent counts into a table.
//!
//! `cargo run --example count`, and in another terminal:
//!
//! ```sh
//! curl http://127.0.0.1:6066/tables/counts           # all rows
//! curl http://127.0.0.1:6066/tables/counts/ships     # one row
//! curl -X POST http://127.0.0.1:6066/topics/lines -d '{"value": "a thousand ships"}'
//! ```
//!
//! With `-- --data-dir count-data` the counts are kept: kill the program in the middle, start it
//! again, and no word is lost or counted twice.

use std::time::Duration;

use marlowe::App;
use marlowe::topic::ProducerRecord;

const POEM: [&str; 4] = [
    "was this the face that launched a thousand ships",
    "and burnt the topless towers of ilium",
    "sweet helen make me immortal with a kiss",
    "her lips suck forth my soul see where it flies",
];

fn main() {
    let mut app = App::new("count");
    let lines = app.topic::<(), String>("lines");
    let words = app.topic::<String, ()>("words"); // key: word
    let counts = app.table::<String, u64>("counts");

    // The source remembers its position: after a restart in the same folder it goes on with the
    // next line.
    app.source("poem", lines).run(async |lines| {
        for (number, line) in (1..).zip(POEM).skip(lines.position() as usize) {
            lines.send_record(ProducerRecord::new(&(), &line.to_owned()), number).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    });
    app.agent("split", lines).with(words).each(async |words, line| {
        line.split_whitespace().for_each(|word| words.send(&word.to_owned(), &()));
        Ok(())
    });
    // The words of a line have other keys than the line: each goes to the shard that owns its row.
    app.agent("count", words).with(counts).each_event(async |counts, word| {
        counts.update(word.key, |count| *count += 1);
        Ok(())
    });
    app.main()
}
