//! `gateway`: the service. Environment variables configure it; arguments only ask for information.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use backpressure_gateway::settings::Settings;
use backpressure_gateway::spill::command::SpillCommand;
use backpressure_gateway::{http, launch};
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Event ingestion behind a BullMQ queue on Redis, with admission by depth, priority and memory.
///
/// Settings are environment variables; --settings lists them. Without REDIS_URL the queue is in memory.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Check the settings, report all mistakes, and exit: 0 if there are none, 3 otherwise.
    #[arg(long)]
    check_config: bool,
    /// Print the table of settings, in Markdown.
    #[arg(long)]
    settings: bool,
    /// Print the OpenAPI document.
    #[arg(long)]
    openapi: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Look at, export or repair the journal of priority-1 events of a gateway that does not run.
    Spill {
        #[command(subcommand)]
        command: SpillCommand,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Spill { command }) = arguments.command {
        return match command.run(&mut std::io::stdout().lock()) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    if arguments.settings {
        print!("{}", contract::variables::markdown());
        return ExitCode::SUCCESS;
    }
    if arguments.openapi {
        let document = http::openapi().to_pretty_json().expect("the document is JSON");
        println!("{document}");
        return ExitCode::SUCCESS;
    }
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprintln!("error: {mistakes}");
            return ExitCode::from(INVALID);
        }
    };
    for warning in settings.policy.warnings() {
        eprintln!("warning: {warning}");
    }
    if arguments.check_config {
        println!("the settings are valid");
        return ExitCode::SUCCESS;
    }
    start_log(&settings);
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let app = tokio::select! {
        app = launch::start(settings) => app?,
        // It may wait long for the gateway before it to let go of the spill.
        _ = terminate.recv() => return Ok(()),
    };
    let queue =
        if app.settings.redis.is_some() { "BullMQ on Redis" } else { "in memory, with workers of its own" };
    tracing::info!(address = %listener.local_addr()?, queue, "listening");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    http::server::serve(app, listener, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

fn start_log(settings: &Settings) {
    let is_colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(settings.log_level)
        .with_ansi(is_colourful)
        // To report that a line cannot be written it would write to the same place, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    if settings.log_json { log.json().init() } else { log.with_target(false).init() }
}

/// Exit code for invalid settings; `simulate` has the same for invalid scenarios.
const INVALID: u8 = 3;
