//! Tables of text for the terminal.

use super::console::{Console, Style};
use crate::plain::plain;

/// Rows of text in aligned columns.
pub(crate) struct Grid {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    pub(crate) fn new(heads: impl Into<Vec<&'static str>>) -> Self {
        Self { heads: heads.into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        // `plain` escapes line breaks, so a cell is always one line.
        self.rows.push(cells.into().iter().map(|cell| plain(cell).into_owned()).collect());
    }

    pub(crate) fn text(&self, console: &Console) -> String {
        let heads: Vec<String> = self.heads.iter().map(|head| head.to_uppercase()).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&heads]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            line.trim_end().to_owned()
        };
        let mut text = console.paint(Style::Heading, &line(&heads));
        for row in &self.rows {
            text.push('\n');
            text.push_str(&line(row));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::console::{Colours, Form};

    #[test]
    fn a_cell_is_one_line_without_control_characters() {
        let mut grid = Grid::new(["key", "value"]);
        grid.row(["a\x1b[2J".into(), "b\nc\td".into()]);
        assert_eq!(
            grid.text(&Console { form: Form::Text, colours: Colours::Off }),
            "KEY         VALUE\na\\u{1b}[2J  b\\nc\\td"
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut grid = Grid::new(["name", "rows"]);
        grid.row(["a-long-name".into(), "1".into()]);
        grid.row(["ö".into(), "2".into()]);
        assert_eq!(
            grid.text(&Console { form: Form::Text, colours: Colours::Off }),
            "NAME         ROWS\na-long-name  1\nö            2"
        );
    }
}
