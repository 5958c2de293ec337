//! `simulate new`, `completions` and `man`: what helps to begin.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use backpressure_sim::scenario;
use backpressure_sim::study::grid::Grid;

use crate::schema::check_accepts;
use crate::support::{check_refusal, simulate, text, workplace};

const TEMPLATES: [&str; 3] = ["spike", "steady", "capacity"];

#[test]
fn every_template_is_a_scenario_that_meets_its_objectives() {
    let folder = workplace();
    for template in TEMPLATES {
        let output = simulate(folder.path(), &["new", template, "--template", template]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), format!("scenario  {template}.toml\n"));
        let path = folder.path().join(format!("{template}.toml"));
        let loaded = scenario::load(&path, &[]).unwrap_or_else(|error| panic!("{error}")).scenario;
        assert_eq!(loaded.name, template, "named after its file");
        assert!(loaded.question.contains('?') && loaded.question.contains("Expected"), "{}", loaded.question);
        assert!(loaded.warnings.is_empty(), "{template}: {:?}", loaded.warnings);
        let source = fs::read_to_string(&path).unwrap();
        for expected in ["#:schema ", "\n[sweep]", "\n[cost]", "\n[plan]", "Measure:"] {
            assert!(source.contains(expected), "{template}: no {expected}");
        }
        check_accepts(&source);
        let grid = Grid::load(&path, Vec::new(), Vec::new(), Vec::new()).unwrap_or_else(|e| panic!("{e}"));
        let (variants, _) = grid.variants(|_, _| ());
        assert!(variants.ids.len() > 4, "{template}: {variants:?}");
        assert!(loaded.cost.worker > 0.0, "{template}: a [cost] without a price makes everything free");
        let run = simulate(folder.path(), &[&format!("{template}.toml"), "-n", "2"]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stdout));
    }
}

#[test]
fn what_is_commented_out_is_valid_too() {
    let folder = workplace();
    for template in TEMPLATES {
        let printed = simulate(folder.path(), &["new", "-", "--template", template]).stdout;
        let is_setting = |line: &str| {
            let name = line.strip_prefix("# ").and_then(|rest| rest.split(" = ").next());
            line.contains(" = ") && name.is_some_and(|name| !name.contains(' '))
        };
        let uncommented: Vec<&str> =
            text(&printed).lines().map(|line| if is_setting(line) { &line[2..] } else { line }).collect();
        assert!(uncommented.iter().filter(|line| line.starts_with("confidence")).count() == 1);
        let loaded = scenario::from_str(&uncommented.join("\n"), "x.toml", folder.path(), &[]);
        loaded.unwrap_or_else(|error| panic!("{template}: {error}"));
    }
}

#[test]
fn a_file_that_exists_is_not_touched() {
    let folder = workplace();
    let before = fs::read(folder.path().join("small.toml")).unwrap();
    for name in ["small", "small.toml"] {
        check_refusal(folder.path(), &["new", name], 1, &["`small.toml` exists already", "--stdout"]);
    }
    check_refusal(folder.path(), &["new", "nowhere/mine"], 1, &["nowhere/mine.toml"]);
    assert_eq!(fs::read(folder.path().join("small.toml")).unwrap(), before);
}

#[test]
fn it_is_printed_on_request() {
    let folder = workplace();
    let printed = simulate(folder.path(), &["new", "-"]).stdout;
    assert_eq!(printed, simulate(folder.path(), &["new", "--stdout"]).stdout);
    assert!(text(&printed).starts_with("#:schema ./scenario.schema.json\n"));
    check_refusal(folder.path(), &["new"], 2, &["<PATH"]);
}

#[test]
fn the_schema_line_points_to_a_schema_that_is_there() {
    let folder = workplace();
    let first_line = |path: &str| {
        let source = fs::read_to_string(folder.path().join(path)).unwrap();
        source.lines().next().unwrap().to_owned()
    };
    let output = simulate(folder.path(), &["new", "alone"]);
    assert!(text(&output.stderr).contains("simulate schema > scenario.schema.json"));
    assert_eq!(first_line("alone.toml"), "#:schema ./scenario.schema.json");
    fs::create_dir_all(folder.path().join("docs")).unwrap();
    fs::create_dir_all(folder.path().join("scenarios/mine")).unwrap();
    fs::write(folder.path().join("docs/scenario.schema.json"), "{}").unwrap();
    simulate(folder.path(), &["new", "top"]);
    assert_eq!(first_line("top.toml"), "#:schema ./docs/scenario.schema.json");
    simulate(folder.path(), &["new", "scenarios/mine/deep.toml"]);
    assert_eq!(first_line("scenarios/mine/deep.toml"), "#:schema ../../docs/scenario.schema.json");
}

#[test]
fn completions_are_for_every_shell_and_bash_accepts_its_own() {
    let folder = workplace();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = simulate(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("compare"), "{shell}");
    }
    let script = simulate(folder.path(), &["completions", "bash"]).stdout;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(&script).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn manual_pages_are_printed_or_written() {
    let folder = workplace();
    let output = simulate(folder.path(), &["man"]);
    assert!(text(&output.stdout).contains(".TH simulate 1"), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("objective is missed"), "exit codes belong to it");
    let output = simulate(folder.path(), &["man", "pages/man1"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    for page in ["simulate.1", "simulate-compare.1", "simulate-new.1"] {
        let page = fs::read_to_string(folder.path().join("pages/man1").join(page)).unwrap();
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn help_knows_every_command() {
    let folder = workplace();
    let help = simulate(folder.path(), &["help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["compare", "new", "config", "schema", "completions", "man"] {
        assert!(text(&help.stdout).contains(&format!("\n  {command} ")), "{}", text(&help.stdout));
        assert_eq!(simulate(folder.path(), &["help", command]).status.code(), Some(0), "{command}");
    }
}
