//! What changes while the gateway runs: credentials, and the level of the log.
//!
//! Settings come from the environment, and from a file for what the environment does not have. The environment of a process cannot be
//! changed from outside; the file is read again on SIGHUP. What cannot change safely is named, and waits for the next start.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use contract::variables::{self, EMBEDDED_QUEUE, LOG_LEVEL, SETTINGS_FILE};

use crate::app::App;
use crate::settings::{Settings, unknown};

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    is_demo: bool,
    file: BTreeMap<String, String>,
}

impl Source {
    /// The environment, and the file that it names.
    ///
    /// # Errors
    /// The file cannot be read, or has a line that is none.
    pub fn read(is_demo: bool) -> Result<Source, String> {
        let Some(path) = std::env::var(SETTINGS_FILE.name).ok().filter(|path| !path.trim().is_empty()) else {
            return Ok(Source { is_demo, file: BTreeMap::new() });
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{}: cannot read {path}: {error}", SETTINGS_FILE.name))?;
        let mut file = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or_else(|| {
                format!("{}: {path}, line {}: NAME=value, not {line:?}", SETTINGS_FILE.name, index + 1)
            })?;
            file.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        Ok(Source { is_demo, file })
    }

    /// The value of a variable.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<String> {
        let environment = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        environment
            .or_else(|| self.file.get(name).cloned())
            .or_else(|| (self.is_demo && name == EMBEDDED_QUEUE.name).then(|| "true".to_owned()))
    }

    /// The names of all variables that are set.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let environment = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        environment.chain(self.file.keys().cloned())
    }
}

/// Reads everything again that can change, and says what cannot. After a mistake nothing changes.
pub fn reload(app: &App, source: &mut Source, set_level: impl Fn(tracing::Level)) {
    match app.access.reload() {
        Ok(credentials) => tracing::info!(credentials, "credentials read again"),
        Err(problem) => tracing::error!(problem, "credentials stay as they were"),
    }
    let new = match Source::read(source.is_demo) {
        Ok(new) => new,
        Err(problem) => return tracing::error!(problem, "settings stay as they were"),
    };
    let settings = match Settings::read(|name| new.find(name)) {
        Ok(settings) => settings,
        Err(mistakes) => return tracing::error!(%mistakes, "settings stay as they were"),
    };
    for unknown in unknown(new.names()) {
        tracing::warn!("{unknown}");
    }
    for variable in
        variables::ALL.iter().filter(|variable| new.find(variable.name) != source.find(variable.name))
    {
        if variable.name == LOG_LEVEL.name {
            set_level(settings.log_level);
            tracing::info!(level = %settings.log_level, "log level changed");
        } else {
            tracing::warn!(variable = variable.name, "a change that waits for the next start");
        }
    }
    *source = new;
}

/// Reads the credentials whenever their file changes. A mounted Secret changes without a signal.
pub async fn watch_credentials(app: Arc<App>) {
    let Some(file) = app.settings.credentials.clone() else { return };
    let mut before = fs::read(&file).ok();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = fs::read(&file).ok();
        if now != before {
            match app.access.reload() {
                Ok(credentials) => tracing::info!(credentials, "credentials read again"),
                Err(problem) => tracing::error!(problem, "credentials stay as they were"),
            }
            before = now;
        }
    }
}

const LOOK: Duration = Duration::from_secs(5);
