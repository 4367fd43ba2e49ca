use std::time::Duration;

use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let counts = app.table::<String, u64>("counts");
    let others = app.table::<String, u64>("others");
    app.partition_timer("tidy", Duration::from_secs(1)).with(counts).run(async move |counts| {
        counts.insert("count", others.len());
        Ok(())
    });
}
