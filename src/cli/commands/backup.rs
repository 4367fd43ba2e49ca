//! The command `backup`: copies a program's folder, which may be in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::store::has_topics_here;
use crate::config::Config;
use crate::data_folder::{Backup, DataFolder};

/// The answer of the command: the copy that was made.
#[derive(Serialize)]
struct Done {
    app: Arc<str>,
    folder: PathBuf,
    to: PathBuf,
    #[serde(flatten)]
    backup: Backup,
}

/// Runs the command `backup`.
pub(crate) fn back_up(app: &Arc<str>, to: &Path, config: &Config, console: &Console) -> Result<(), CliError> {
    let Some(path) = &config.data_dir else {
        return Err(CliError::Usage(
            "without --data-dir nothing is kept, so there is nothing to back up: give the program's --data-dir".into(),
        ));
    };
    let folder = DataFolder::look(path, app)?;
    if !DataFolder::has_broker(path) && folder.tables()?.is_empty() {
        let told = format!("the program has kept nothing in {} yet: there is nothing to back up", path.display());
        return Err(CliError::Usage(told));
    }
    let backup = folder.back_up(to)?;
    let done = Done { app: app.clone(), folder: path.clone(), to: to.to_owned(), backup };
    console.answer(&done, || done.text(has_topics_here(config)));
    Ok(())
}

impl Done {
    fn text(&self, has_topics_here: bool) -> String {
        let Backup { has_broker, stores, left_out, bytes } = &self.backup;
        let topics = if *has_broker { "topics and positions, and " } else { "" };
        let mut text =
            format!("{}: {topics}{stores} stores of tables, {} KiB", self.to.display(), bytes.div_ceil(1024));
        for store in left_out {
            text.push_str(&format!("\nleft out, and restored from the changelog: {}", store.display()));
        }
        if !has_topics_here {
            text.push_str("\nThe topics are not in the backup: they are on the program's broker.");
        }
        text
    }
}
