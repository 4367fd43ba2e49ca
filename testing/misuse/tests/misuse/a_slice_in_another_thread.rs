use marlowe::App;

/// Requires of a closure what `std::thread::spawn` and `tokio::spawn` require.
fn spawn(_: impl FnOnce() + Send + 'static) {}

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    let counts = app.table::<String, u64>("counts");
    app.agent("count", words).with(counts).each(async |counts, word| {
        spawn(move || counts.update(word, |count| *count += 1));
        Ok(())
    });
}
