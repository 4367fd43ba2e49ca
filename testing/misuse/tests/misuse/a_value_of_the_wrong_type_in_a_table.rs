use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    let counts = app.table::<String, u64>("counts");
    app.agent("count", words).with(counts).each(async |counts, word| {
        counts.insert(word, "one");
        Ok(())
    });
}
