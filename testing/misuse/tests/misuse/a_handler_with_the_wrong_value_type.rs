use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let words = app.topic::<String, String>("words");
    app.agent("count", words).each(async |(), word: u64| {
        let _ = word;
        Ok(())
    });
}
