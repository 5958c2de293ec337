//! The names of the contract stand in the contract, and nowhere else in the code that is delivered.

use std::fs;
use std::path::{Path, PathBuf};

use backpressure_sim::scenario;
use contract::{Sets, metrics, variables};

#[test]
fn names_of_the_contract_stand_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in
        ["src", "benches", "crates/backpressure/src", "crates/gateway/src", "crates/gateway/benches"]
    {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    let variables = variables::ALL.iter().map(|variable| variable.name);
    // A short name is also a word.
    let names: Vec<&str> = variables
        .chain(metrics::ALL.iter().map(|metric| metric.name))
        .filter(|name| name.len() > 8)
        .collect();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for literal in line.split('"').skip(1).step_by(2) {
                let words = literal.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                for word in words {
                    assert!(!names.contains(&word), "{}:{}: {word}", file.display(), number + 1);
                }
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What a variable is said to set is a setting of a scenario. Two fields of the policy are not settings of their own: how long a
/// depth is believed, and the interval, which `policy.observe` has.
#[test]
fn a_variable_sets_what_a_scenario_has() {
    let text = "duration = \"1s\"\n[arrivals]\nrate = \"1/s\"\n[[class]]\nname = \"a\"\nshare = 1.0\n\
                [workers]\nservice_time = { distribution = \"exponential\", mean = \"1ms\" }\n";
    let loaded = scenario::from_str(text, "small.toml", Path::new("."), &[]).unwrap();
    let settings: Vec<&str> = loaded.settings.iter().map(|setting| setting.pattern.as_str()).collect();
    for variable in variables::ALL {
        let path = match variable.sets {
            Sets::Policy("depth_valid_for" | "observe_every") | Sets::Nothing => continue,
            Sets::Policy(field) => format!("policy.{field}"),
            Sets::Scenario(path) => path.to_owned(),
        };
        let is_it = |setting: &&str| setting.replace("[]", "") == path;
        assert!(settings.iter().any(is_it), "{}: {path} in {settings:#?}", variable.name);
    }
}
