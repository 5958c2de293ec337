//! `gateway`: the service. Environment variables configure it; arguments only ask for information.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use backpressure_gateway::access::Access;
use backpressure_gateway::app::App;
use backpressure_gateway::reload::{self, Source};
use backpressure_gateway::settings::{Settings, unknown};
use backpressure_gateway::spill::command::SpillCommand;
use backpressure_gateway::{descriptors, http, launch};
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload as reload_layer};

/// Event ingestion behind a BullMQ queue on Redis, with admission by depth, priority and memory.
///
/// Settings are environment variables; --settings lists them.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
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
    let (source, settings, access) = match read_settings(arguments.demo) {
        Ok(read) => read,
        Err(mistakes) => {
            eprintln!("error: {mistakes}");
            return ExitCode::from(INVALID);
        }
    };
    let unknown = unknown(source.names());
    let of_policy = settings.policy.warnings().map(|warning| warning.to_string());
    let warnings: Vec<String> = of_policy.chain(unknown.iter().map(ToString::to_string)).collect();
    if arguments.check_config {
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        // What is nearly a variable is meant as one. The rest may be there for another program.
        if unknown.iter().any(|unknown| unknown.nearest.is_some()) {
            return ExitCode::from(INVALID);
        }
        let (bytes, sum) = settings.memory_bound();
        println!("the settings are valid");
        println!("memory: at most {} MiB resident ({sum})", bytes.div_ceil(1 << 20));
        return ExitCode::SUCCESS;
    }
    let level = start_log(&settings);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    match run(settings, access, source, level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where settings come from, and what they are; or all mistakes, those of the file of credentials too.
fn read_settings(is_demo: bool) -> Result<(Source, Settings, Access), String> {
    let source = Source::read(is_demo)?;
    let settings = Settings::read(|name| source.find(name)).map_err(|mistakes| mistakes.to_string())?;
    let access = Access::open(settings.credentials.as_deref())?;
    Ok((source, settings, access))
}

#[tokio::main]
async fn run(settings: Settings, access: Access, source: Source, level: Level) -> anyhow::Result<()> {
    descriptors::reserve(&settings)?;
    let listener = listen(settings.listen).await?;
    let admin = listen(settings.admin).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (hangup, other) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
    // A file that may grow no further fails a write; unheard, the signal would end the process.
    let _file_limit = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
    let app = tokio::select! {
        app = launch::start_with(settings, access) => app?,
        // It may wait long for the gateway before it to let go of the spill.
        _ = terminate.recv() => return Ok(()),
    };
    http::admin::start(&app, admin.into_std()?)?;
    tokio::spawn(reload::watch_credentials(app.clone()));
    tokio::spawn(answer_signals(app.clone(), source, level, hangup, other));
    let queue =
        if app.settings.redis.is_some() { "BullMQ on Redis" } else { "in memory, with workers of its own" };
    tracing::info!(%address, admin = %admin_address, queue, "listening");
    if app.access.is_open() {
        tracing::warn!("anybody may send events with any priority: there are no credentials");
    }
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

/// SIGHUP reads again what can change. SIGUSR1, which ends a process that does not know it, says how things are.
async fn answer_signals(
    app: Arc<App>,
    mut source: Source,
    level: Level,
    mut hangup: Signal,
    mut other: Signal,
) {
    loop {
        tokio::select! {
            _ = hangup.recv() => reload::reload(&app, &mut source, |new| {
                // The log lives as long as the process.
                let _ = level.modify(|filter| *filter = LevelFilter::from_level(new));
            }),
            _ = other.recv() => {
                let (spilled, _) = app.spill.as_ref().map_or((0, 0), |spill| spill.backlog());
                let snapshot = app.circuit.snapshot();
                tracing::info!(circuit = %snapshot.state, depth = snapshot.last_known_depth, spilled, "running");
            }
        }
    }
}

/// What changes the level of the log.
type Level = reload_layer::Handle<LevelFilter, Registry>;

fn start_log(settings: &Settings) -> Level {
    let is_colourful = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (filter, level) = reload_layer::Layer::new(LevelFilter::from_level(settings.log_level));
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(is_colourful)
        // To report that a line cannot be written it would write to the same place, and panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if settings.log_json {
        registry.with(log.json()).init();
    } else {
        registry.with(log.with_target(false)).init();
    }
    level
}

/// Exit code for invalid settings; `simulate` has the same for invalid scenarios.
const INVALID: u8 = 3;
