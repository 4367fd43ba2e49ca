//! Standard output: the answers of commands, as coloured text or as JSON.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::plain::{plain_json, plain_lines, plain_painted};

/// The form in which a command's answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, for people.
    Text,
    /// JSON, for programs.
    Json,
}

/// The place where answers are written: standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    pub(crate) form: Form,
    pub(crate) colours: Colours,
}

/// The use of colours in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    On,
    Off,
}

/// The style of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Name,
    Faint,
}

impl Colours {
    /// Uses colours on a terminal, unless the user turned them off (<https://no-color.org>).
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        if stream.is_terminal() && !unwanted { Colours::On } else { Colours::Off }
    }
}

impl Console {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, colours: Colours::of(&std::io::stdout()) }
    }

    /// Returns the text in a style.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        let code = match (self.colours, style) {
            (Colours::Off, _) => return text.to_owned(),
            (Colours::On, Style::Heading) => "1",
            (Colours::On, Style::Name) => "36",
            (Colours::On, Style::Faint) => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes an answer in the form that was asked for.
    pub(crate) fn answer(&self, json: &impl Serialize, text: impl FnOnce() -> String) {
        match self.form {
            Form::Text => self.line(&text()),
            // This cannot fail, because answers consist of names, numbers and JSON.
            Form::Json => self.line(&serde_json::to_string(json).unwrap_or_default()),
        }
    }

    /// Writes a line. Its only control characters are line breaks, tabs and styles. It is not an
    /// error if the reader is gone (`| head`).
    pub(crate) fn line(&self, line: &str) {
        let line = match (self.form, self.colours) {
            (Form::Json, _) => plain_json(line),
            (Form::Text, Colours::On) => plain_painted(line),
            (Form::Text, Colours::Off) => plain_lines(line),
        };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", line.trim_end_matches('\n')).and_then(|()| out.flush());
    }
}
