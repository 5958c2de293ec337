//! `simulate config`, `simulate schema` and `simulate metrics`: the settings of a scenario, all settings and all metrics there are.

use std::io::{self, Write};

use anyhow::Result;
use backpressure_sim::report;
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
    print(&if args.markdown { scenario::schema::markdown() } else { scenario::schema::json() })
}

pub(super) fn metrics() -> Result<u8> {
    print(&report::metrics::page())
}

fn print(text: &str) -> Result<u8> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(exit::GOOD)
}
