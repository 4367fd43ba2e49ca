use std::time::Duration;

use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let counts = app.table::<String, u64>("counts");
    app.timer("report", Duration::from_secs(1)).with(counts).run(async |_| Ok(()));
}
