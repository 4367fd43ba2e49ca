use std::collections::HashMap;

use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    let counts: HashMap<String, u64> = HashMap::new();
    app.agent("count", words).with(counts).each(async |_, _| Ok(()));
}
