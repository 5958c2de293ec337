//! The table of exact answers, `tests/data/oracle-public.json`, as cases.
//!
//! Its `legend` explains every name. Nothing here knows what a kind means.

use serde_json::Value;

/// One system and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// Relative error of the numbers in `expected`.
    pub(crate) accuracy: f64,
    pub(crate) params: Fields,
    pub(crate) expected: Fields,
}

/// A JSON object whose fields are there: a missing one is a mistake in the table or in its reader.
#[derive(Clone, Debug)]
pub(crate) struct Fields(pub(crate) Value);

/// All cases, in the order of the table.
pub(crate) fn cases() -> Vec<Case> {
    let table: Value =
        serde_json::from_str(include_str!("../data/oracle-public.json")).expect("the table is JSON");
    let read = |case: &Value| {
        let case = Fields(case.clone());
        Case {
            id: case.word("id").to_owned(),
            kind: case.word("kind").to_owned(),
            accuracy: case.number("accuracy"),
            params: case.below("params"),
            expected: case.below("expected"),
        }
    };
    list(&table["cases"]).iter().map(read).collect()
}

impl Fields {
    pub(crate) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("no field `{name}` in {}", self.0))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        number(self.value(name))
    }

    pub(crate) fn number_or(&self, name: &str, default: f64) -> f64 {
        if self.has(name) { self.number(name) } else { default }
    }

    /// A whole number.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap_or_else(|| panic!("`{name}` is no whole number in {}", self.0))
    }

    pub(crate) fn word(&self, name: &str) -> &str {
        word(self.value(name))
    }

    pub(crate) fn list(&self, name: &str) -> &[Value] {
        list(self.value(name))
    }

    pub(crate) fn below(&self, name: &str) -> Fields {
        Fields(self.value(name).clone())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.as_object().expect("an object").keys().map(String::as_str)
    }
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no word"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
