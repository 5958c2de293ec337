//! `simulate new`: a commented scenario as a starting point.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::exit;

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Name or path of the scenario; `.toml` is added. `-` prints it.
    #[arg(required_unless_present = "stdout")]
    path: Option<PathBuf>,
    /// The question it asks.
    #[arg(short, long, value_enum, default_value_t = Template::Spike)]
    template: Template,
    /// Print it instead of writing a file.
    #[arg(long)]
    stdout: bool,
}

/// The questions that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Does the queue survive a spike, and how long does recovery take?
    Spike,
    /// Is a steady load served well, and how much headroom is left?
    Steady,
    /// How many workers does a load need, and what do they cost?
    Capacity,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Template::Spike => include_str!("templates/spike.toml"),
            Template::Steady => include_str!("templates/steady.toml"),
            Template::Capacity => include_str!("templates/capacity.toml"),
        }
    }
}

pub(super) fn new(args: &NewArgs) -> Result<u8> {
    match args.path.as_deref() {
        Some(path) if !args.stdout && path != Path::new("-") => write(&with_extension(path), args.template),
        _ => {
            let mut stdout = io::stdout().lock();
            write!(stdout, "{}", args.template.text())?;
            stdout.flush()?;
            Ok(exit::GOOD)
        }
    }
}

fn write(path: &Path, template: Template) -> Result<u8> {
    let schema = schema_beside(path);
    // Where the schema is known to lie somewhere else, the start points there.
    let text = match &schema {
        Some(found) => template.text().replacen(SCHEMA_BESIDE, found, 1),
        None => template.text().to_owned(),
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "`{}` exists already and was not touched\n  = choose another name, or `--stdout` to print the scenario",
            path.display()
        ),
        opened => opened.with_context(|| format!("failed to create `{}`", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("failed to write `{}`", path.display()))?;

    let mut stdout = io::stdout().lock();
    writeln!(stdout, "scenario  {}", path.display())?;
    stdout.flush()?;
    let shown = path.display().to_string();
    eprintln!("run it: simulate {}", backpressure_sim::scenario::for_shell(&shown));
    if schema.is_none() {
        let beside = path.with_file_name(SCHEMA_FILE).display().to_string();
        let beside = backpressure_sim::scenario::for_shell(&beside);
        eprintln!("let your editor check it: simulate schema > {beside}");
    }
    Ok(exit::GOOD)
}

fn with_extension(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".toml");
    PathBuf::from(name)
}

/// How a file at `path` would name the schema, if there is one: beside it, or in the `docs` of a folder around it.
fn schema_beside(path: &Path) -> Option<String> {
    let folder = std::path::absolute(path).ok()?.parent()?.to_owned();
    if folder.join(SCHEMA_FILE).is_file() {
        return Some(SCHEMA_BESIDE.to_owned());
    }
    let depth = folder.ancestors().position(|around| around.join("docs").join(SCHEMA_FILE).is_file())?;
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    Some(format!("{up}docs/{SCHEMA_FILE}"))
}

const SCHEMA_FILE: &str = "scenario.schema.json";
/// What the templates say.
const SCHEMA_BESIDE: &str = "./scenario.schema.json";
