//! A worker of the program that `chaos` runs. It ends when its standard input ends, which happens
//! when its parent process is gone.

use std::io::Read;

use clap::Args;
use marlowe::App;

#[derive(Args)]
struct Options {
    /// Process at least once, and send outside of the transactions
    #[arg(long)]
    at_least_once: bool,
}

fn main() {
    std::thread::spawn(|| {
        // After an error, the standard input has ended too.
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
