#![deny(unused_must_use)]
//! An agent without a handler.
use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    let counts = app.table::<String, u64>("counts");
    app.agent("count", words).with(counts);
}
