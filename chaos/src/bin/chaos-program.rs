//! A worker of the program that `chaos` runs. It ends when its standard input does, as that of a child does when its parent
//! is gone.

use std::io::Read;

use clap::Args;
use marlowe::App;

#[derive(Args)]
struct Options {
    /// Send outside of the transactions
    #[arg(long)]
    at_least_once: bool,
}

fn main() {
    std::thread::spawn(|| {
        // Whatever ends it, it has ended.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        eprintln!("error: whoever started this worker is gone");
        std::process::exit(3);
    });
    let mut app = App::new(marlowe_chaos::program::APP);
    if app.options::<Options>().at_least_once {
        app.at_least_once();
    }
    marlowe_chaos::program::declare(&mut app);
    app.main()
}
