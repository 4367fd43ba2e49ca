use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::plain::{plain_json, plain_lines, plain_painted};

/// What a command's answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    pub(crate) form: Form,
    pub(crate) colours: Colours,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    On,
    Off,
}

/// How a piece of text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Name,
    Faint,
}

impl Colours {
    /// Colours are for terminals, and for people who did not say that they want none (<https://no-color.org>).
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

    /// The text in a style.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        let code = match (self.colours, style) {
            (Colours::Off, _) => return text.to_owned(),
            (Colours::On, Style::Heading) => "1",
            (Colours::On, Style::Name) => "36",
            (Colours::On, Style::Faint) => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Answers in the form that was asked for.
    pub(crate) fn answer(&self, json: &impl Serialize, text: impl FnOnce() -> String) {
        match self.form {
            Form::Text => self.line(&text()),
            // What is answered serializes: it is made of names, numbers and JSON.
            Form::Json => self.line(&serde_json::to_string(json).unwrap_or_default()),
        }
    }

    /// Writes a line, with no more control characters than line breaks, tabs and styles. Whoever reads it may have gone (`| head`):
    /// that is no failure.
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
