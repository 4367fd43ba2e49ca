//! The parsing of a program's command line: Marlowe's part, and the program's own.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use clap_complete::Shell;

use super::arguments::{Arguments, WorkerOptions};
use crate::app::CommandLine;
use crate::cli::console::Console;

impl CommandLine {
    pub(crate) fn definition(&self) -> Command {
        let version = match &self.version {
            Some(version) => format!("{version} (marlowe {MARLOWE})"),
            None => format!("(marlowe {MARLOWE})"),
        };
        let definition = Arguments::definition().name(program_name()).version(version);
        let Some(own) = self.own else { return definition };
        // The program's options may stand before and after a command, like those that every command
        // takes.
        let own = own(Command::new("own"));
        let options = own.get_arguments().map(|option| {
            let option = option.clone().global(true);
            if option.get_help_heading().is_none() { option.help_heading("Options of the program") } else { option }
        });
        options.fold(definition, Command::arg)
    }

    /// Reads the process's arguments. Ends the process when they ask for help or are wrong.
    pub(crate) fn read<T: FromArgMatches>(&self) -> T {
        let read = self.matches(std::env::args_os()).and_then(|matches| T::from_arg_matches(&matches));
        read.unwrap_or_else(|error| error.exit())
    }

    /// Runs the command `completion`.
    pub(crate) fn complete(&self, shell: Shell, console: &Console) {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut self.definition(), program_name(), &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        console.answer(&serde_json::json!({ "shell": shell.to_string(), "script": script }), || script.clone());
    }

    fn matches(&self, arguments: impl Iterator<Item = OsString>) -> Result<ArgMatches, clap::Error> {
        let mut definition = self.definition();
        let commands: Vec<&str> = definition.get_subcommands().map(clap::Command::get_name).collect();
        let known = StyledStr::from(format!("the commands are {}", commands.join(", ")));
        let matches = definition.try_get_matches_from_mut(arguments).map_err(|mut error| {
            if error.kind() == ErrorKind::InvalidSubcommand {
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![known]));
            }
            error
        })?;
        // The options of `worker` exist at the top level for the case without a command. Before
        // another command they would have no effect, so they are refused.
        let written = |option: &String| matches.value_source(option) == Some(ValueSource::CommandLine);
        match (matches.subcommand_name(), WorkerOptions::names().into_iter().find(written)) {
            (Some(command), Some(option)) if command != "worker" => {
                let option = option.replace('_', "-");
                let reason =
                    format!("`--{option}` is an option of `worker`, and `{command}` does not take it: remove it\n");
                Err(definition.error(ErrorKind::ArgumentConflict, reason))
            }
            _ => Ok(matches),
        }
    }
}

/// Returns the name by which the program was called.
pub(crate) fn program_name() -> String {
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = called.as_ref().and_then(|path| path.file_stem()?.to_str());
    name.unwrap_or("program").to_owned()
}

/// Marlowe's own version.
pub(crate) const MARLOWE: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    #[derive(Debug, Args)]
    struct Own {
        /// Rows per second
        #[arg(long)]
        rate: Option<u32>,
    }

    fn command_line() -> CommandLine {
        let mut command_line = CommandLine::default();
        command_line.add::<Own>();
        command_line
    }

    fn matches(words: &str) -> Result<ArgMatches, clap::Error> {
        command_line().matches(std::iter::once("program").chain(words.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_definition_holds() {
        command_line().definition().debug_assert();
    }

    #[test]
    fn a_programs_options_stand_before_or_after_the_command() -> Result<(), clap::Error> {
        for words in ["--rate 5", "--rate 5 worker", "worker --rate 5 --drain", "--drain --rate 5 worker"] {
            assert_eq!(Own::from_arg_matches(&matches(words)?)?.rate, Some(5), "{words}");
        }
        assert_eq!(Own::from_arg_matches(&matches("tables")?)?.rate, None);
        Ok(())
    }

    #[test]
    fn a_worker_option_is_refused_before_another_command() {
        for option in ["--commit-interval 5", "--set-aside", "--drain", "--advertise http://h:1", "--web-open"] {
            let error = matches(&format!("{option} tables")).unwrap_err().to_string();
            let name = option.split(' ').next().unwrap_or_default();
            assert!(error.contains(name) && error.contains("tables"), "{error}");
            assert!(matches(&format!("{option} worker")).is_ok(), "{option}");
        }
    }

    #[test]
    fn an_unknown_command_is_named_with_what_there_is() {
        let error = matches("tablse").unwrap_err().to_string();
        assert!(error.contains("tablse") && error.contains("tables"), "{error}");
        let error = matches("frobnicate").unwrap_err().to_string();
        assert!(error.contains("frobnicate") && error.contains("completion"), "{error}");
    }
}
