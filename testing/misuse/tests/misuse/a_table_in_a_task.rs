use marlowe::App;

fn main() {
    let mut app = App::new("misuse");
    let counts = app.table::<String, u64>("counts");
    let users = app.global_table::<String, u64>("users");
    app.task("load").with((users, counts)).run(async |_| Ok(()));
}
