//! Distributions in a scenario: `{ distribution = "lognormal", mean = "8ms", cv = 0.5 }`, or a single value.

use super::diagnostic::Code;
use super::files::{DataFile, offset_in};
use super::log::Mistake;
use super::reader::{Section, quantity_of};
use super::setting::Kind;
use super::tree::Value;
use crate::model::distribution::Distribution;
use crate::units::Quantity;

/// The quantity that a distribution describes.
#[derive(Clone, Copy)]
pub(super) struct Of {
    pub(super) quantity: Quantity,
    /// Whether it may be always zero.
    pub(super) may_be_zero: bool,
}

impl Of {
    /// Times above zero.
    pub(super) const TIME: Of = Of { quantity: Quantity::Duration, may_be_zero: false };
    /// Sizes, also zero.
    pub(super) const SIZE: Of = Of { quantity: Quantity::Size, may_be_zero: true };
}

#[derive(Clone, Copy)]
enum Shape {
    Deterministic,
    Exponential,
    Erlang,
    Gamma,
    Lognormal,
    Hyperexponential,
    Empirical,
}

const SHAPES: &[(&str, Shape)] = &[
    ("deterministic", Shape::Deterministic),
    ("exponential", Shape::Exponential),
    ("erlang", Shape::Erlang),
    ("gamma", Shape::Gamma),
    ("lognormal", Shape::Lognormal),
    ("hyperexponential", Shape::Hyperexponential),
    ("empirical", Shape::Empirical),
];

/// Beyond this, no run is long enough to estimate a mean.
const MOST_CV: f64 = 1_000.0;

/// Reads a setting that is a distribution. `None` if it is absent or wrong; what is wrong is logged.
pub(super) fn optional(
    section: &mut Section<'_>,
    name: &'static str,
    doc: &'static str,
    of: Of,
) -> Option<Distribution> {
    read(section, name, doc, of, None)
}

/// The same with a single value as default.
pub(super) fn or(
    section: &mut Section<'_>,
    name: &'static str,
    doc: &'static str,
    of: Of,
    default: &'static str,
) -> Distribution {
    let mean = of.quantity.parse(default).expect("a default is well written");
    read(section, name, doc, of, Some(default)).unwrap_or(Distribution::Deterministic { mean })
}

fn read(
    section: &mut Section<'_>,
    name: &'static str,
    doc: &'static str,
    of: Of,
    default: Option<&'static str>,
) -> Option<Distribution> {
    let kind = Kind::Distribution(of.quantity);
    let item = section.ask(name);
    let is_table = item.is_some_and(|item| matches!(item.value, Value::Table(_)));
    let given = item.map(|item| (item, (!is_table).then(|| item.value.to_toml())));
    section.record(name, doc, kind, default.map(|default| format!("\"{default}\"")), false, given);
    let item = item?;
    if is_table {
        let mut table = section.below(name, Some(item));
        let distribution = table_of(&mut table, of);
        if distribution.is_none() {
            section.mark_bad(name);
        }
        return distribution;
    }
    let single = quantity_of(&item.value, of.quantity).and_then(|mean| positive(mean, of).map(|()| mean));
    match single {
        Ok(mean) => Some(Distribution::Deterministic { mean }),
        Err(mut fault) => {
            if matches!(fault.code, Code::WrongType | Code::WrongUnit) {
                fault.label = Kind::Distribution(of.quantity).label();
            }
            section.complain(name, fault);
            None
        }
    }
}

fn table_of(table: &mut Section<'_>, of: Of) -> Option<Distribution> {
    // The shape decides which settings exist, so an unknown one ends the reading.
    let shape = table.key("distribution", "Shape of the distribution.").choice(SHAPES).required()?;
    table.varies_with("distribution");
    if matches!(shape, Shape::Empirical) {
        let name =
            table.key("file", "File of measured values, one per line, each with its unit.").text().required();
        let values = name.and_then(|name| values_of(table, &name, of));
        table.close();
        return Some(Distribution::Empirical { values: values?.into() });
    }
    let mean = table.key("mean", "Mean of the distribution.").quantity(of.quantity).required();
    let mean = mean.filter(|&mean| match positive(mean, of) {
        Ok(()) => true,
        Err(fault) => {
            table.complain("mean", fault);
            false
        }
    });
    let cv = |table: &mut Section<'_>, least: f64| {
        table.key("cv", "Standard deviation divided by the mean.").number(least, MOST_CV).required()
    };
    let distribution = match shape {
        Shape::Deterministic => mean.map(|mean| Distribution::Deterministic { mean }),
        Shape::Exponential => mean.map(|mean| Distribution::Exponential { mean }),
        Shape::Erlang => {
            let shape = table.key("shape", "Number of exponential phases.").count(1, 1_000_000).required();
            mean.zip(shape).map(|(mean, shape)| Distribution::Erlang { shape: shape as u32, mean })
        }
        Shape::Gamma => {
            let shape = table.key("shape", "Shape; cv = 1 / sqrt(shape).").number(1e-6, 1e6).required();
            mean.zip(shape).map(|(mean, shape)| Distribution::Gamma { shape, mean })
        }
        Shape::Lognormal => mean.zip(cv(table, 1e-6)).map(|(mean, cv)| Distribution::Lognormal { mean, cv }),
        Shape::Hyperexponential => {
            let cv = cv(table, 1.0);
            mean.zip(cv).map(|(mean, cv)| Distribution::Hyperexponential { mean, cv })
        }
        Shape::Empirical => None,
    };
    table.close();
    distribution
}

fn positive(mean: f64, of: Of) -> Result<(), Mistake> {
    if mean > 0.0 || of.may_be_zero {
        Ok(())
    } else {
        Err(Mistake::new(Code::OutOfRange, "must be above zero", ""))
    }
}

/// The values of an empirical distribution; `#` begins a comment.
fn values_of(table: &mut Section<'_>, name: &str, of: Of) -> Option<Vec<f64>> {
    let mut file = DataFile::read(table, "file", name)?;
    let text = std::mem::take(&mut file.text);
    let mut values = Vec::new();
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim();
        if written.is_empty() {
            continue;
        }
        match of.quantity.parse(written) {
            Ok(value) => values.push(value),
            Err(error) => {
                faults.push((index + 1, (offset_in(&text, written), written.len()), Mistake::from(error)));
            }
        }
        if faults.len() >= super::files::MOST_DATA_MISTAKES {
            break;
        }
    }
    file.text = text;
    for (line, part, fault) in faults {
        file.complain(table, line, part, fault);
    }
    if file.has_mistakes() {
        table.mark_bad("file");
        return None;
    }
    if values.is_empty() {
        let message = format!("there are no values in `{}`", file.shown);
        let label = format!("one value per line: {}", of.quantity.example());
        table.complain("file", Mistake::new(Code::File, message, label));
        return None;
    }
    if values.iter().all(|&value| value == 0.0) && !of.may_be_zero {
        let message = format!("all values in `{}` are zero", file.shown);
        table.complain("file", Mistake::new(Code::OutOfRange, message, "at least one must be above zero"));
        return None;
    }
    Some(values)
}

/// A value that draws practically never exceed: 40 standard deviations above the mean, or the largest one measured.
pub(super) fn generous(distribution: &Distribution) -> f64 {
    match distribution {
        Distribution::Empirical { values } => values.iter().copied().fold(0.0, f64::max),
        other => other.mean() * (1.0 + 40.0 * other.cv()),
    }
}
