//! `simulate config` and `simulate schema`: the settings of a scenario, and all settings there are.

use std::io::{self, Write};

use anyhow::Result;
use backpressure_sim::scenario::{self, Setting};
use clap::Args;

use super::args::ScenarioArgs;
use super::exit;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Print the reference page in Markdown: every setting with its values, default and meaning.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn config(args: &ScenarioArgs) -> Result<u8> {
    let loaded = args.load()?;
    let mut stdout = io::stdout().lock();
    for Setting { path, value, origin, .. } in &loaded.settings {
        if let Some(value) = value {
            writeln!(stdout, "{path} = {value}  # {origin}")?;
        }
    }
    stdout.flush()?;
    Ok(exit::GOOD)
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    let text = if args.markdown { scenario::schema::markdown() } else { scenario::schema::json() };
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(exit::GOOD)
}
