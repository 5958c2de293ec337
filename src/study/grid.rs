//! The configurations to try: a scenario and the values that some of its settings take.
//!
//! A variant is a number: its place in the full product of the axes, of which the last varies fastest. The number is
//! the same on every machine and in every file, even where constraints leave gaps.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::axis::{Axis, tidy, written};
use super::constraint::Constraint;
use crate::engine::digest::Digest;
use crate::experiment::parallel;
use crate::scenario::{self, Diagnostic, DiagnosticCode, Loaded, Location, Scenario, ScenarioError};

/// A variant's place in the full product of the axes.
pub type VariantId = u32;

/// A grid as text: all that another machine needs to build it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridSource {
    /// The scenario's file, as given.
    pub file: String,
    /// Its text.
    pub text: String,
    /// `--set` options.
    pub overrides: Vec<String>,
    /// `--grid` options; if there are none, the file's axes count.
    pub axes: Vec<String>,
    /// `--where` options, besides the file's own.
    pub constraints: Vec<String>,
}

/// A scenario and the values that some of its settings take.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What it was made from.
    pub source: GridSource,
    /// The scenario without any variation.
    pub base: Loaded,
    /// The axes.
    pub axes: Vec<Axis>,
    constraints: Vec<Constraint>,
}

/// The variants that can be run, and why the others cannot.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    /// Those that can.
    pub ids: Vec<VariantId>,
    /// For each reason, how many it excluded.
    pub excluded: Vec<(String, usize)>,
}

/// More variants are a mistake.
const MOST_VARIANTS: u64 = 1_000_000;

impl Grid {
    /// Reads a scenario file and its grid.
    ///
    /// # Errors
    ///
    /// All mistakes in file and options, or why the file cannot be read.
    pub fn load(
        path: &Path,
        overrides: Vec<String>,
        axes: Vec<String>,
        constraints: Vec<String>,
    ) -> Result<Self, ScenarioError> {
        let base = scenario::load(path, &overrides)?;
        let (file, text) = (path.display().to_string(), base.scenario.source.clone());
        Self::with_base(GridSource { file, text, overrides, axes, constraints }, base)
    }

    /// The grid of that source.
    ///
    /// # Errors
    ///
    /// All mistakes in text and options.
    pub fn of(source: GridSource) -> Result<Self, ScenarioError> {
        let base =
            scenario::from_str(&source.text, &source.file, &directory(&source.file), &source.overrides)?;
        Self::with_base(source, base)
    }

    fn with_base(source: GridSource, mut base: Loaded) -> Result<Self, ScenarioError> {
        base.scenario.expect_nothing();
        let settings = &base.settings;
        let sweep = &base.scenario.sweep;
        let in_file = |name: &str| format!("{} [sweep] {name}", source.file);
        let written_axes = match source.axes.is_empty() {
            true => sweep.axes.iter().map(|axis| (axis, in_file("axes"))).collect::<Vec<_>>(),
            false => source.axes.iter().map(|axis| (axis, format!("--grid {axis}"))).collect(),
        };
        let mut problems = Vec::new();
        let mut keep =
            |result: Result<Axis, Box<Diagnostic>>| result.map_err(|problem| problems.push(*problem)).ok();
        let axes: Vec<Axis> = written_axes
            .iter()
            .filter_map(|(text, origin)| keep(Axis::parse(text, origin, settings)))
            .collect();
        let own = sweep.constraints.iter().map(|text| (text, in_file("where")));
        let further = source.constraints.iter().map(|text| (text, format!("--where {text}")));
        let mut constraints = Vec::new();
        for (text, origin) in own.chain(further) {
            match Constraint::parse(text, &origin, settings) {
                Ok(constraint) => constraints.push(constraint),
                Err(problem) => problems.push(*problem),
            }
        }
        let mut refuse = |code, message: String, label: &str| {
            let at = Location::file(source.file.as_str());
            problems.push(Diagnostic { code, message, at, label: label.to_string() });
        };
        for (index, axis) in axes.iter().enumerate() {
            if axes[..index].iter().any(|other| other.path == axis.path) {
                let message = format!("`{}` has two axes", axis.path);
                refuse(DiagnosticCode::Conflict, message, "one axis can have many values: 1,2,5..10");
            }
            if is_in_circle(&axes, axis) {
                let message = format!("`{}` is in the end a fraction of itself", axis.path);
                refuse(DiagnosticCode::Conflict, message, "one of the settings must have values of its own");
            }
        }
        let size = axes.iter().map(|axis| axis.points.len() as u64).try_fold(1_u64, u64::checked_mul);
        if size.is_none_or(|size| size > MOST_VARIANTS) {
            let message = format!("the axes have more than {MOST_VARIANTS} combinations");
            refuse(DiagnosticCode::OutOfRange, message, "fewer values, or fewer axes");
        }
        if problems.is_empty() {
            Ok(Self { source, base, axes, constraints })
        } else {
            Err(ScenarioError::Invalid(problems))
        }
    }

    /// The scenario without any variation.
    pub fn scenario(&self) -> &Scenario {
        &self.base.scenario
    }

    /// Number of combinations, before any is excluded.
    pub fn size(&self) -> u64 {
        self.axes.iter().map(|axis| axis.points.len() as u64).product()
    }

    /// The setting of each axis.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(|axis| axis.path.as_str())
    }

    /// Which point of each axis a variant has.
    pub fn place(&self, id: VariantId) -> Vec<usize> {
        let mut rest = id as usize;
        let mut place: Vec<usize> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let index = rest % axis.points.len();
                rest /= axis.points.len();
                index
            })
            .collect();
        place.reverse();
        place
    }

    /// The value of each axis as `--set` takes it; fractions resolved.
    pub fn values(&self, id: VariantId) -> Vec<String> {
        let place = self.place(id);
        let of_axis = |(axis, &index): (&Axis, &usize)| match self.number(axis, index, &place) {
            Some(number) if axis.of.is_some() => written(number, &axis.kind),
            _ => axis.points[index].written.clone(),
        };
        self.axes.iter().zip(&place).map(of_axis).collect()
    }

    /// The value of each axis as a number, where it is one; fractions resolved.
    pub fn numbers(&self, id: VariantId) -> Vec<Option<f64>> {
        let place = self.place(id);
        self.axes.iter().zip(&place).map(|(axis, &index)| self.number(axis, index, &place)).collect()
    }

    /// What the scenario without any variation has for each axis, where it is a number.
    pub fn own_numbers(&self) -> Vec<Option<f64>> {
        let settings = &self.base.settings;
        let own = |axis: &Axis| {
            let setting = settings.iter().find(|setting| setting.path == axis.path)?;
            setting.kind.number_of(setting.value.as_deref()?)
        };
        self.axes.iter().map(own).collect()
    }

    fn number(&self, axis: &Axis, index: usize, place: &[usize]) -> Option<f64> {
        let number = axis.points[index].number?;
        let Some(of) = &axis.of else { return Some(number) };
        let product = tidy(number * self.setting(of, place)?);
        let is_whole = matches!(axis.kind, crate::scenario::Kind::Whole { .. });
        Some(if is_whole { product.round() } else { product })
    }

    /// What a setting is at that place, as a number.
    fn setting(&self, path: &str, place: &[usize]) -> Option<f64> {
        if let Some(position) = self.axes.iter().position(|axis| axis.path == path) {
            return self.number(&self.axes[position], place[position], place);
        }
        let setting = self.base.settings.iter().find(|setting| setting.path == path)?;
        setting.kind.number_of(setting.value.as_deref()?)
    }

    /// The `--set` options of a variant, besides those of the grid.
    pub fn overrides(&self, id: VariantId) -> Vec<String> {
        self.axes.iter().zip(self.values(id)).map(|(axis, value)| format!("{}={value}", axis.path)).collect()
    }

    /// The scenario of a variant.
    ///
    /// # Errors
    ///
    /// The mistakes that its settings make together.
    pub fn variant(&self, id: VariantId) -> Result<Scenario, ScenarioError> {
        self.with(&self.overrides(id))
    }

    /// The scenario with further `--set` options.
    ///
    /// # Errors
    ///
    /// The mistakes in them.
    pub fn with(&self, options: &[String]) -> Result<Scenario, ScenarioError> {
        let GridSource { text, file, overrides, .. } = &self.source;
        let overrides = [overrides.as_slice(), options].concat();
        let mut scenario = scenario::from_str(text, file, &directory(file), &overrides)?.scenario;
        scenario.expect_nothing();
        Ok(scenario)
    }

    /// Goes through all variants, in the current rayon pool, and hands those that can be run to `look`.
    pub fn variants<T: Send>(&self, look: impl Fn(VariantId, Scenario) -> T + Sync) -> (Variants, Vec<T>) {
        let broken = |id: VariantId| {
            let place = self.place(id);
            self.constraints.iter().find(|constraint| !constraint.holds(|path| self.setting(path, &place)))
        };
        let judged = parallel::map(self.size() as usize, |task| {
            let id = task as VariantId;
            Some(match broken(id) {
                Some(constraint) => Err(constraint.text.clone()),
                None => match self.variant(id) {
                    Ok(scenario) => Ok(look(id, scenario)),
                    Err(error) => Err(reason(&error)),
                },
            })
        });
        let mut variants = Variants::default();
        let mut looked = Vec::new();
        for (id, result) in judged.expect("nothing interrupts this").into_iter().enumerate() {
            match result {
                Ok(found) => {
                    variants.ids.push(id as VariantId);
                    looked.push(found);
                }
                Err(reason) => match variants.excluded.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, count)) => *count += 1,
                    None => variants.excluded.push((reason, 1)),
                },
            }
        }
        (variants, looked)
    }

    /// The command line that sweeps it, for a shell.
    pub fn command(&self) -> String {
        let mut command = self.base.scenario.command.replacen("simulate ", "simulate sweep ", 1);
        let options = self.source.axes.iter().map(|axis| ("--grid", axis));
        for (option, value) in options.chain(self.source.constraints.iter().map(|text| ("--where", text))) {
            command.push_str(&format!(" {option} {}", scenario::for_shell(value)));
        }
        command
    }

    /// Hash of everything that results depend on.
    pub fn fingerprint(&self) -> String {
        let mut digest = Digest::default();
        let GridSource { file: _, text, overrides, axes, constraints } = &self.source;
        for list in [&vec![text.clone(), env!("CARGO_PKG_VERSION").to_string()], overrides, axes, constraints]
        {
            digest.add(list.len() as u64);
            for text in list {
                digest.add(text.len() as u64);
                digest.add_all(text.bytes().map(u64::from));
            }
        }
        format!("{:016x}", digest.value())
    }
}

/// Whether an axis is in the end a fraction of itself.
fn is_in_circle(axes: &[Axis], axis: &Axis) -> bool {
    let next = |axis: &Axis| axes.iter().find(|other| Some(&other.path) == axis.of.as_ref());
    let mut at = next(axis);
    for _ in axes {
        at = at.and_then(next);
    }
    at.is_some()
}

/// The folder that files named in the scenario are looked for in.
fn directory(file: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).to_owned()
}

/// Why settings do not go together, without the numbers that differ from variant to variant.
fn reason(error: &ScenarioError) -> String {
    match error.diagnostics().first() {
        Some(diagnostic) if !diagnostic.label.is_empty() => {
            let rule = diagnostic.label.split(';').next().unwrap_or_default();
            format!("refused: {rule}")
        }
        Some(diagnostic) => format!("refused: {}", diagnostic.message),
        None => format!("refused: {error}"),
    }
}
