//! `gateway`: the service. Environment variables configure it; arguments only ask for information.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use backpressure_gateway::settings::{Mistakes, Settings, unknown};
use backpressure_gateway::{descriptors, http, launch};
use clap::Parser;
use contract::variables::EMBEDDED_QUEUE;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Event ingestion behind a BullMQ queue on Redis, with admission by depth, priority and memory.
///
/// Settings are environment variables; --settings lists them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Run without Redis, as with EMBEDDED_QUEUE=true: the queue is in memory, has workers of its own, and ends with the process.
    #[arg(long)]
    demo: bool,
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.settings {
        print!("{}", contract::variables::markdown());
        return ExitCode::SUCCESS;
    }
    if arguments.openapi {
        let document = http::openapi().to_pretty_json().expect("the document is JSON");
        println!("{document}");
        return ExitCode::SUCCESS;
    }
    let settings = match settings(arguments.demo) {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprintln!("error: {mistakes}");
            return ExitCode::from(INVALID);
        }
    };
    for warning in settings.policy.warnings() {
        eprintln!("warning: {warning}");
    }
    let unknown = unknown(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    for unknown in &unknown {
        eprintln!("warning: {unknown}");
    }
    if arguments.check_config {
        // What is nearly a variable is meant as one. The rest may be there for another program.
        if unknown.iter().any(|unknown| unknown.nearest.is_some()) {
            return ExitCode::from(INVALID);
        }
        let (bytes, sum) = settings.memory_bound();
        println!("the settings are valid");
        println!("memory: at most {} MiB resident ({sum})", bytes.div_ceil(1 << 20));
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
    descriptors::reserve(&settings)?;
    let listener = listen(settings.listen).await?;
    let admin = listen(settings.admin).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let app = launch::start(settings).await?;
    http::admin::start(&app, admin.into_std()?)?;
    let queue =
        if app.settings.redis.is_some() { "BullMQ on Redis" } else { "in memory, with workers of its own" };
    tracing::info!(%address, admin = %admin_address, queue, "listening");
    let draining = app.clone();
    let stop = async move {
        // Balancers learn from readiness that this instance goes away; nobody waits for them at a terminal.
        let delay = tokio::select! {
            _ = terminate.recv() => draining.settings.limits.drain_delay,
            _ = tokio::signal::ctrl_c() => Duration::ZERO,
        };
        draining.is_draining.store(true, Ordering::Relaxed);
        tracing::info!(?delay, "not ready any more");
        tokio::time::sleep(delay).await;
    };
    http::server::serve(app, listener, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn settings(is_demo: bool) -> Result<Settings, Mistakes> {
    Settings::read(|name| match std::env::var(name) {
        Err(_) if is_demo && name == EMBEDDED_QUEUE.name => Some("true".to_owned()),
        found => found.ok(),
    })
}

fn start_log(settings: &Settings) {
    let is_colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(settings.log_level)
        .with_ansi(is_colourful)
        .with_writer(std::io::stderr);
    if settings.log_json { log.json().init() } else { log.with_target(false).init() }
}

/// Exit code for invalid settings; `simulate` has the same for invalid scenarios.
const INVALID: u8 = 3;
