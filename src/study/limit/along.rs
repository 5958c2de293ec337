//! What a search moves: the factor on all arrivals, or one setting of the scenario.

use std::fmt;

use super::load::times_load;
use crate::scenario::{Kind, Loaded, Scenario, ScenarioError, Setting, did_you_mean};
use crate::study::axis::{tidy, written};
use crate::study::grid::Grid;
use crate::units::Quantity;

/// What is moved.
#[derive(Clone, Debug)]
pub enum Along {
    /// The factor on all arrivals; 1 is the scenario as it is.
    Load,
    /// A setting whose values are numbers, in base units: seconds, jobs per second, bytes.
    Setting(Box<Setting>),
}

/// Why nothing can be moved along that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchWay(String);

impl fmt::Display for NoSuchWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoSuchWay {}

impl Along {
    /// The factor on all arrivals, or the setting of that name.
    ///
    /// # Errors
    ///
    /// A sentence that says why that cannot be searched, and what can.
    pub fn read(name: Option<&str>, base: &Loaded) -> Result<Self, NoSuchWay> {
        match name {
            None | Some(LOAD) if base.scenario.model.sources.is_empty() => Err(NoSuchWay(
                "nothing arrives, so there is no load to multiply: search along a setting with --along"
                    .to_owned(),
            )),
            None | Some(LOAD) => Ok(Self::Load),
            Some(name) => Self::of_setting(name, base),
        }
    }

    fn of_setting(name: &str, base: &Loaded) -> Result<Self, NoSuchWay> {
        let paths = base.settings.iter().map(|setting| setting.path.as_str()).chain([LOAD]);
        let Some(setting) = base.settings.iter().find(|setting| setting.path == name) else {
            let near = did_you_mean(name, paths);
            let message =
                format!("`{name}` is not a setting of this scenario{near}; `simulate config` lists them");
            return Err(NoSuchWay(message));
        };
        let Some(value) = setting.value.as_deref() else {
            let message = if matches!(setting.kind, Kind::Table | Kind::Tables) {
                format!("`{name}` is {}: choose a setting in it that is a number", setting.kind)
            } else {
                format!("`{name}` has no value to start from: give it one with --set {name}=VALUE")
            };
            return Err(NoSuchWay(message));
        };
        match setting.kind.number_of(value) {
            Some(_) => Ok(Self::Setting(Box::new(setting.clone()))),
            None => Err(NoSuchWay(format!("`{name}` is {value}, which is not a number to search along"))),
        }
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        match self {
            Self::Load => LOAD,
            Self::Setting(setting) => &setting.path,
        }
    }

    /// What values it takes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Load => Kind::Number { least: 0.0, most: f64::MAX },
            Self::Setting(setting) => setting.kind.clone(),
        }
    }

    /// The value that the scenario has.
    pub fn own(&self) -> f64 {
        match self {
            Self::Load => 1.0,
            Self::Setting(setting) => {
                let value = setting.value.as_deref().and_then(|value| setting.kind.number_of(value));
                value.expect("it was read before")
            }
        }
    }

    /// The number in a text such as `1.5`, `20k/s` or `2GiB`; `None` if it is not one.
    pub fn number(&self, text: &str) -> Option<f64> {
        self.kind().number_of(text)
    }

    /// Whether it takes whole numbers only.
    pub fn is_whole(&self) -> bool {
        match self.kind() {
            Kind::Whole { .. } => true,
            Kind::Quantity(quantity) | Kind::ChoiceOr(_, quantity) => {
                matches!(quantity, Quantity::Count | Quantity::Size)
            }
            _ => false,
        }
    }

    /// The value nearest to a number that people can write down: whole, or with few digits.
    pub fn rounded(&self, value: f64) -> f64 {
        if self.is_whole() { value.round() } else { tidy(format!("{value:.4e}").parse().unwrap_or(value)) }
    }

    /// A value as options take it.
    pub fn written(&self, value: f64) -> String {
        written(value, &self.kind())
    }

    /// The option that sets a value; `None` of the factor, which is no setting.
    pub fn option(&self, value: f64) -> Option<String> {
        match self {
            Self::Load => None,
            Self::Setting(setting) => Some(format!("{}={}", setting.path, written(value, &setting.kind))),
        }
    }

    /// The scenario with that value.
    ///
    /// # Errors
    ///
    /// If the scenario does not allow it.
    pub(super) fn scenario(&self, grid: &Grid, value: f64) -> Result<Scenario, ScenarioError> {
        match self.option(value) {
            Some(option) => grid.with(&[option]),
            None => {
                let mut scenario = grid.scenario().clone();
                times_load(&mut scenario.model, value);
                Ok(scenario)
            }
        }
    }
}

/// The name of the factor.
const LOAD: &str = "load";
