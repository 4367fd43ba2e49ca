//! The output on which one board follows another.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// The output on which the board is printed.
pub(crate) struct Screen {
    drawing: Drawing,
    page: Mutex<Page>,
}

/// The way in which one board follows another.
#[derive(Clone, Copy)]
pub(crate) enum Drawing {
    /// The new board replaces the one before, as on a terminal.
    InPlace,
    /// The new board comes below the one before, as plain lines.
    Below,
}

struct Page {
    out: Box<dyn Write + Send>,
    shown: String,
}

impl Screen {
    pub(crate) fn new(out: impl Write + Send + 'static, drawing: Drawing) -> Self {
        Self { drawing, page: Mutex::new(Page { out: Box::new(out), shown: String::new() }) }
    }

    /// Shows `text`, unless it is what is shown already.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let Page { out, shown } = &mut *page;
        if *shown == text {
            return Ok(());
        }
        // Go to the start of the shown text and clear the rest. A progress bar below draws itself
        // again.
        let clear = match (self.drawing, shown.lines().count()) {
            (Drawing::InPlace, 0) => "\r\x1b[J".to_owned(),
            (Drawing::InPlace, lines) => format!("\r\x1b[{lines}A\x1b[J"),
            (Drawing::Below, _) => String::new(),
        };
        out.write_all((clear + text).as_bytes())?;
        out.flush()?;
        text.clone_into(shown);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(drawing: Drawing) -> io::Result<String> {
        let paper = Paper::default();
        let screen = Screen::new(paper.clone(), drawing);
        for text in ["one\n\n", "one\n\n", "two\n\n"] {
            screen.show(text)?;
        }
        let bytes = paper.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_changed_board_is_drawn_over_the_one_before_or_below_it() -> io::Result<()> {
        assert_eq!(printed(Drawing::Below)?, "one\n\ntwo\n\n");
        assert_eq!(printed(Drawing::InPlace)?, "\r\x1b[Jone\n\n\r\x1b[2A\x1b[Jtwo\n\n");
        Ok(())
    }
}
