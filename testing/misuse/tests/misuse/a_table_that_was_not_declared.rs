use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    let counts = app.table::<String, u64>("counts");
    app.agent("count", words).each(async move |(), word: String| {
        counts.update(word, |count| *count += 1);
        Ok(())
    });
}
