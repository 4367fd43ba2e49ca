//! A worker of the program that `chaos` runs. It ends when its standard input does, as that of a child does when its parent
//! is gone.

use std::io::Read;

use marlowe::App;

fn main() {
    std::thread::spawn(|| {
        // Whatever ends it, it has ended.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        eprintln!("error: whoever started this worker is gone");
        std::process::exit(3);
    });
    let mut app = App::new(marlowe_chaos::program::APP);
    marlowe_chaos::program::declare(&mut app);
    app.main()
}
