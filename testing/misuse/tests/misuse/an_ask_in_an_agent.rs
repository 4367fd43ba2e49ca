use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let orders = app.topic::<String, u64>("orders");
    let questions = app.topic::<String, u64>("questions");
    let price = app.agent("price", questions).each(async |(), weight| Ok(2 * weight)).answers();
    app.agent("order", orders).with(price).each_event(async |price, order| {
        price.ask(&order.key, &order.value).await?;
        Ok(())
    });
}
