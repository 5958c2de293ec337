//! Reports of plans: the planned settings as files to apply, the evidence, and how sure it is.
//!
//! The files of a single plan have plain names. Several plans share page, summary and document, and the files of each
//! carry its name: `plan-10k.env`, `hpa-10k.yaml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::plan::proof::Files;
use crate::plan::{Choice, Plan};
use crate::report::kit;
use crate::report::kit::folder::Draft;
use crate::report::kit::output::{self, Options, PAGE, WriteError};
use files::{DOCUMENT, SUMMARY, files};
use view::View;

mod alerts;
mod charts;
mod document;
mod env;
mod files;
mod hpa;
mod keda;
mod markdown;
mod page;
mod service;
pub mod terminal;
mod view;

/// Writes the report of the plans into the folder `dir`, whole or not at all, and returns the path of its page.
///
/// For each plan that found a configuration: `plan.env`, `hpa.yaml`, `keda.yaml`, `alerts.yaml` and its test
/// `alerts-test.yaml`, and charts; for all of them `report.html`, its summary card as
/// `summary.svg`, `plan.md` and `plan.json`. Of files already in
/// the folder those of an earlier plan are replaced or removed, others stay.
pub fn write(dir: &Path, plans: &[Plan], options: &Options) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let views = View::all(plans);
    let mut ours: BTreeSet<String> = files_of_earlier(dir).into_iter().chain(files(&views)).collect();
    let mut drawn = Vec::new();
    for view in &views {
        if let Some(choice) = &view.plan.choice {
            let Files { env, hpa, keda, alerts } = render_files(view, choice);
            draft.write(&view.file("plan", "env"), &env)?;
            draft.write(&view.file("hpa", "yaml"), &hpa)?;
            draft.write(&view.file("keda", "yaml"), &keda)?;
            draft.write(&view.file("alerts", "yaml"), &alerts)?;
            draft.write(&view.file(alerts::TEST_STEM, "yaml"), &alerts::render_test(view, choice))?;
        }
        let charts = charts::all(view);
        output::write_charts(&draft, &charts, options, |stem, extension| view.file(stem, extension))?;
        drawn.push(charts);
    }
    draft.write(PAGE, &page::render(&views, &drawn))?;
    output::write_card(&draft, &page::card(&views), options)?;
    draft.write(SUMMARY, &markdown::render(&views))?;
    draft.write(DOCUMENT, &json(plans)?)?;
    let pictures: Vec<String> =
        ours.iter().filter_map(|name| Some(format!("{}.png", name.strip_suffix(".svg")?))).collect();
    ours.extend(pictures);
    draft.publish(|name| ours.contains(name))?;
    Ok(dir.join(PAGE))
}

/// What an operator applies of a plan, which is what [`crate::plan::proof`] reads back; empty texts of a plan that found no
/// configuration.
pub fn emitted(plan: &Plan) -> Files {
    let views = View::all(std::slice::from_ref(plan));
    plan.choice.as_ref().map(|choice| render_files(&views[0], choice)).unwrap_or_default()
}

fn render_files(view: &View<'_>, choice: &Choice) -> Files {
    Files {
        env: env::render(view, choice),
        hpa: hpa::render(view, choice),
        keda: keda::render(view, choice),
        alerts: alerts::render(view, choice),
    }
}

/// The plans as one JSON document with a newline at its end: `plan.json` and what `--json` prints.
pub fn json(plans: &[Plan]) -> Result<String, WriteError> {
    kit::document::json(&document::of(plans))
}

/// The files that an earlier plan in the folder lists as its own. Names alone are not enough: with
/// several plans they contain rates and scenario names, and could belong to something else.
fn files_of_earlier(dir: &Path) -> Vec<String> {
    let read = || -> Option<Vec<String>> {
        let text = std::fs::read_to_string(dir.join(DOCUMENT)).ok()?;
        let document: serde_json::Value = serde_json::from_str(&text).ok()?;
        let files = (document["schema"] == document::SCHEMA).then(|| document["files"].as_array())??;
        Some(files.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    };
    read().unwrap_or_default()
}
