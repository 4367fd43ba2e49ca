use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Standard output, on which the board is drawn: in its place on a terminal, as plain lines elsewhere.
#[derive(Default)]
pub(crate) struct Screen {
    shown: Mutex<String>,
}

impl Screen {
    /// Shows the text, if it is another than is shown.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == text {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            // To the start of what is shown, and away with it; a progress bar below draws itself again.
            match shown.lines().count() {
                0 => write!(out, "\r\x1b[J")?,
                lines => write!(out, "\r\x1b[{lines}A\x1b[J")?,
            }
        }
        write!(out, "{text}")?;
        out.flush()?;
        text.clone_into(&mut shown);
        Ok(())
    }
}
