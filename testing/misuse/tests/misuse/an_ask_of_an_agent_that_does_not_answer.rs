use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let questions = app.topic::<String, u64>("questions");
    let price = app.agent("price", questions).each(async |(), weight| Ok(2 * weight));
    app.task("ask").with(price).run(async |price| {
        price.ask(&"tea".to_owned(), &2).await?;
        Ok(())
    });
}
