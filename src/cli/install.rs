//! `simulate completions` and `simulate man`: files for shells and for `man`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder for simulate.1, simulate-compare.1 and so on [default: print the main page].
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8> {
    // Through memory, since the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), NAME, &mut script);
    print(&script)
}

pub(super) fn man(args: &ManArgs) -> Result<u8> {
    let command = super::Cli::command().name(NAME);
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return print(&page);
    };
    let failed = || format!("failed to write the manual pages to `{}`", dir.display());
    std::fs::create_dir_all(dir).with_context(failed)?;
    clap_mangen::generate_to(command, dir).with_context(failed)?;
    Ok(exit::GOOD)
}

fn print(text: &[u8]) -> Result<u8> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(exit::GOOD)
}

/// The program, which is not called like its package.
const NAME: &str = "simulate";
