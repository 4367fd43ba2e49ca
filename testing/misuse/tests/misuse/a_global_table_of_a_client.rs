use marlowe::App;
use marlowe::client::Client;

fn open(client: &Client, app: &mut App) {
    let users = app.global_table::<String, u64>("users");
    client.open(users);
}

fn main() {}
