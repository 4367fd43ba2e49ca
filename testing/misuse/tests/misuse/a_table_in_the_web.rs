use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let counts = app.table::<String, u64>("counts");
    app.web(move |state| {
        let counts = state.open(counts);
        axum::Router::new()
    });
}
