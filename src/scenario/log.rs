//! Collects what reading a scenario finds: mistakes, warnings and settings, with the text that each is about.

use std::cell::RefCell;
use std::path::Path;

use super::diagnostic::{Code, Diagnostic, Location, nearest};
use super::setting::{Origin, Setting};
use super::tree::Place;
use crate::units::UnitError;

/// What reading one scenario has found so far, and the texts it reads.
pub(super) struct Log<'t> {
    file: &'t str,
    text: &'t str,
    overrides: &'t [String],
    base: &'t Path,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<(Rank, Diagnostic)>>,
    unknown: RefCell<Vec<UnknownKey>>,
    missing: RefCell<Vec<MissingKey>>,
    settings: RefCell<Vec<Setting>>,
    warnings: RefCell<Vec<String>>,
}

/// A key that no setting has. What was meant is clear only when all settings are known.
struct UnknownKey {
    section: String,
    variant: String,
    key: String,
    place: Place,
    allowed: Vec<&'static str>,
}

/// A required setting that is absent; not reported if a misspelt key was meant for it.
struct MissingKey {
    path: String,
    place: Place,
    label: String,
}

/// Beyond this many unknown keys, what was meant is not guessed any more.
const MOST_GUESSES: usize = 1_000;

/// Order of the diagnostics: through the file, then the options, then what is missing.
type Rank = (u8, usize, usize);

impl<'t> Log<'t> {
    pub(super) fn new(file: &'t str, text: &'t str, overrides: &'t [String], base: &'t Path) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            file,
            text,
            overrides,
            base,
            line_starts,
            problems: RefCell::default(),
            unknown: RefCell::default(),
            missing: RefCell::default(),
            settings: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// The folder that file names in the scenario are relative to.
    pub(super) fn base(&self) -> &'t Path {
        self.base
    }

    /// Logs a mistake at a place.
    pub(super) fn report(
        &self,
        place: &Place,
        code: Code,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let at = self.locate(place);
        self.report_elsewhere(place, Diagnostic { code, message: message.into(), at, label: label.into() });
    }

    /// Logs a mistake in another file, which the setting at `place` names.
    pub(super) fn report_elsewhere(&self, place: &Place, diagnostic: Diagnostic) {
        let rank = match place {
            Place::File(span) => (0, 0, span.start),
            Place::Set(index, span) => (1, *index, span.start),
            Place::Nowhere => (2, 0, 0),
        };
        self.problems.borrow_mut().push((rank, diagnostic));
    }

    /// Logs a key that no setting has.
    pub(super) fn refuse_key(
        &self,
        section: &str,
        variant: Option<&str>,
        key: &str,
        place: &Place,
        allowed: &[&'static str],
    ) {
        self.unknown.borrow_mut().push(UnknownKey {
            section: section.to_string(),
            variant: variant.map(|variant| format!(" with {variant}")).unwrap_or_default(),
            key: key.to_string(),
            place: place.clone(),
            allowed: allowed.to_vec(),
        });
    }

    /// Logs that a required setting is missing from the table at `place`.
    pub(super) fn miss(&self, path: String, place: Place, label: impl Into<String>) {
        self.missing.borrow_mut().push(MissingKey { path, place, label: label.into() });
    }

    /// Records a setting.
    pub(super) fn record(&self, setting: Setting) {
        self.settings.borrow_mut().push(setting);
    }

    /// Adds to the last setting what its default follows from, and the default here.
    pub(super) fn amend_last(&self, follows: &'static str, default: String) {
        if let Some(setting) = self.settings.borrow_mut().last_mut() {
            setting.follows = Some(follows);
            setting.value.get_or_insert(default);
        }
    }

    /// Where the value of a setting comes from; `None` if nobody has asked for it.
    pub(super) fn origin_of(&self, path: &str) -> Option<Origin> {
        let settings = self.settings.borrow();
        settings.iter().find(|setting| setting.path == path).map(|setting| setting.origin.clone())
    }

    /// Logs a warning about something legal.
    pub(super) fn warn(&self, warning: impl Into<String>) {
        self.warnings.borrow_mut().push(warning.into());
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
            && self.unknown.borrow().is_empty()
            && self.missing.borrow().is_empty()
    }

    /// Reports what had to wait until all settings are known: unknown keys, and missing settings that no
    /// misspelt key was meant for.
    pub(super) fn settle(&self) {
        let mut meant: Vec<String> = Vec::new();
        for (index, unknown) in self.unknown.take().into_iter().enumerate() {
            let UnknownKey { section, variant, key, place, allowed } = unknown;
            let whole = if section.is_empty() { "a scenario".to_string() } else { format!("`{section}`") };
            // A file full of unknown keys is not a scenario, so guessing would not help.
            let near = nearest(&key, allowed.iter().copied()).filter(|_| index < MOST_GUESSES);
            let hint = match near {
                Some(near) => {
                    meant.push(if section.is_empty() {
                        near.to_string()
                    } else {
                        format!("{section}.{near}")
                    });
                    format!("; did you mean `{near}`?")
                }
                None if index < MOST_GUESSES => {
                    self.home_of(&key).map(|home| format!("; it belongs to `{home}`")).unwrap_or_default()
                }
                None => String::new(),
            };
            let message = format!("`{key}` is not a setting of {whole}{variant}{hint}");
            self.report(&place, Code::UnknownKey, message, format!("allowed: {}", allowed.join(", ")));
        }
        for MissingKey { path, place, label } in self.missing.take() {
            let is_meant = |meant: &String| {
                path.strip_prefix(meant.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !meant.iter().any(is_meant) {
                self.report(&place, Code::Missing, format!("`{path}` is missing"), label);
            }
        }
    }

    /// The only section that has a setting of this name.
    fn home_of(&self, key: &str) -> Option<String> {
        let settings = self.settings.borrow();
        let split = settings.iter().filter_map(|setting| setting.pattern.rsplit_once('.'));
        let mut homes = split.filter(|(_, name)| *name == key).map(|(home, _)| home);
        let home = homes.next()?;
        homes.all(|other| other == home).then(|| home.to_string())
    }

    /// The mistakes in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Diagnostic> {
        self.settle();
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(rank, _)| *rank);
        problems.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    /// The records and the warnings.
    pub(super) fn into_records(self) -> (Vec<Setting>, Vec<String>) {
        (self.settings.into_inner(), self.warnings.into_inner())
    }

    /// Drops the mistakes that `keep` refuses.
    pub(super) fn retain(&self, keep: impl Fn(&Diagnostic) -> bool) {
        self.problems.borrow_mut().retain(|(_, diagnostic)| keep(diagnostic));
    }

    fn locate(&self, place: &Place) -> Location {
        match place {
            Place::File(span) => {
                let line = self.line(span.start);
                Location::of(self.file, self.text, Some(line), span.clone())
            }
            Place::Set(index, span) => {
                let option = self.overrides.get(*index).map_or("", String::as_str);
                Location::of(format!("--set {option}"), option, None, span.clone())
            }
            Place::Nowhere => Location::file(self.file),
        }
    }

    fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    /// The line of a place in the file.
    pub(super) fn line_of(&self, place: &Place) -> Option<usize> {
        match place {
            Place::File(span) => Some(self.line(span.start)),
            _ => None,
        }
    }

    /// Whether a value at this place comes from the file, an option, or neither.
    pub(super) fn origin(&self, place: &Place) -> Origin {
        match place {
            Place::File(span) => Origin::File { line: self.line(span.start) },
            Place::Set(index, _) => {
                Origin::Override { option: self.overrides.get(*index).cloned().unwrap_or_default() }
            }
            Place::Nowhere => Origin::Default,
        }
    }

    /// The text within quotes at a place, if it stands there as it is, without escapes.
    pub(super) fn inside_quotes(&self, place: &Place, value: &str) -> Option<Place> {
        let (text, span) = match place {
            Place::File(span) => (self.text, span),
            Place::Set(index, span) => (self.overrides.get(*index)?.as_str(), span),
            Place::Nowhere => return None,
        };
        let raw = text.get(span.clone())?;
        let start = raw.find(value)?;
        let is_whole = raw.len() - value.len() <= 2 * start && start <= 1;
        is_whole.then(|| place.part(start..start + value.len()))
    }
}

/// What is wrong with the value of a setting.
pub(super) struct Mistake {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) label: String,
}

impl Mistake {
    pub(super) fn new(code: Code, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { code, message: message.into(), label: label.into() }
    }
}

impl From<UnitError> for Mistake {
    fn from(error: UnitError) -> Self {
        let code = if error.is_about_the_range() {
            Code::OutOfRange
        } else if error.is_about_the_unit() {
            Code::WrongUnit
        } else {
            Code::WrongType
        };
        Mistake::new(code, error.to_string(), error.help())
    }
}
