//! A year of departures from New York: agents that share a table, a global count that is exact, and
//! a board.
//!
//! ```sh
//! cargo run --release --example flights                # then open http://127.0.0.1:6066/board
//! cargo run --release --example flights -- --rate 5000 --data-dir flights-data
//! cargo run --release --example flights -- --drain     # ends by itself when every row is counted
//! ```
//!
//! The rows are the 336,776 flights that were to leave EWR, JFK and LGA in 2013, in the order of
//! their schedule (`examples/data/flights-2013.csv.gz`; `--input` names another file). They come
//! from the US Bureau of Transportation Statistics by way of the R package nycflights13, and are in
//! the public domain (CC0).
//!
//! Kill it in the middle and start it again with the same `--data-dir`: no flight is lost or
//! counted twice.

mod program;

use std::io::{self, IsTerminal};

use marlowe::App;
use program::{Drawing, Feed, Screen};

fn main() {
    let mut app = App::new("flights");
    let feed: Feed = app.options();
    let drawing = if io::stdout().is_terminal() { Drawing::InPlace } else { Drawing::Below };
    program::declare(&mut app, feed, Screen::new(io::stdout(), drawing));
    app.main()
}
