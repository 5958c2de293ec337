//! The building: who may know whom.
//!
//! ```text
//! main, cli                      arguments in, exit code out
//! report                         what people and tools read
//! plan                           which configuration
//! study, check, compare          several runs
//! experiment                     the replications of one scenario
//! scenario, alerts               what a user asks for
//! model                          what happens in one replication
//! stats, import                  estimates; recordings of others
//! engine, units, memory, fluid, files, text, selection
//! ```
//!
//! Three rules, each checked on the text of `src`, without comments and unit tests:
//!
//! - An import goes to a lower floor, never up and never to a neighbour on the same one.
//! - Within a room there is no circle. Modules that stand side by side, each taken with all below it, can be put in
//!   an order. A module and those below it count as one here: `mod.rs` is the door of its room, so it names
//!   its parts, and the parts share what is defined at the door.
//! - A heavy crate has one home.
//!
//! And one on `Cargo.toml` and `Cargo.lock`: what each crate does not bring along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::repository;

/// From top to bottom.
const FLOORS: [&[&str]; 9] = [
    &["main", "cli"],
    &["report"],
    &["plan"],
    &["study", "check", "compare"],
    &["experiment"],
    &["scenario", "alerts"],
    &["model"],
    &["stats", "import"],
    &["engine", "units", "memory", "fluid", "files", "text", "selection"],
];

/// Crates that only one room knows.
const HOMES: [(&str, &str); 14] = [
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("anyhow", "cli"),
    ("indicatif", "cli"),
    ("plotters", "report"),
    ("maud", "report"),
    ("resvg", "report"),
    ("parquet", "report"),
    ("quick_junit", "report"),
    ("rayon", "experiment"),
    ("toml", "scenario"),
    ("croner", "scenario"),
    ("flate2", "files"),
];

#[test]
fn imports_go_down_only() {
    let floor = |room: &str| {
        let found = FLOORS.iter().position(|rooms| rooms.contains(&room));
        found.unwrap_or_else(|| panic!("`{room}` has no floor: say in tests/it/floors.rs where it stands"))
    };
    let building = Building::read();
    let mut wrong = Vec::new();
    for (from, to) in building.imports() {
        let (room, other) = (room_of(from), room_of(to));
        // The tour in lib.rs names every room.
        let is_within = room == other || from.is_empty() || to.is_empty();
        // One program: main.rs is the door of cli.
        let is_program = floor(room) == 0 && floor(other) == 0;
        if !is_within && !is_program && floor(room) >= floor(other) {
            wrong.push(format!("{from} imports {to}, which is not on a lower floor"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_circle_of_files() {
    let building = Building::read();
    let circles: Vec<String> =
        circles(building.imports()).iter().map(|(from, to)| format!("{from} and {to}")).collect();
    assert!(circles.is_empty(), "these need each other: {circles:#?}");
}

#[test]
fn a_heavy_crate_has_one_home() {
    let building = Building::read();
    let mut wrong = Vec::new();
    for (module, source) in &building.modules {
        for (name, home) in HOMES {
            let is_home = room_of(module) == home;
            if !is_home && paths(source).iter().any(|path| path.first().is_some_and(|first| first == name)) {
                wrong.push(format!("{module} uses {name}, which lives in {home}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known = normal_dependencies("Cargo.toml");
    for (name, _) in HOMES {
        let is_it = |dependency: &String| dependency.replace('-', "_") == name;
        assert!(known.iter().any(is_it), "{name} is no dependency any more");
    }
}

#[test]
fn crates_bring_only_what_they_need() {
    for name in ["backpressure", "contract"] {
        let manifest = format!("crates/{name}/Cargo.toml");
        assert_eq!(normal_dependencies(&manifest), BTreeSet::new(), "{name} depends on something");
    }
    let lock = Lock::read();
    let simulate = lock.closure(normal_dependencies("Cargo.toml"));
    for name in ["tokio", "redis", "hyper", "axum", "backpressure-gateway"] {
        assert!(!simulate.contains(name), "simulate brings {name}");
    }
    let gateway = lock.closure(normal_dependencies("crates/gateway/Cargo.toml"));
    for name in ["plotters", "parquet", "rayon", "backpressure-sim"] {
        assert!(!gateway.contains(name), "the gateway brings {name}");
    }
}

/// The modules of the library and the program: path such as `scenario::arrivals`, and text.
struct Building {
    modules: BTreeMap<String, String>,
}

impl Building {
    fn read() -> Self {
        let root = repository("src");
        let mut modules = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let module = path.strip_prefix(&root).unwrap().with_extension("");
                    let mut names: Vec<_> = module.iter().map(|name| name.to_str().unwrap()).collect();
                    names.retain(|name| *name != "mod" && *name != "lib");
                    modules.insert(names.join("::"), code(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
        assert!(modules.len() > 100, "{}", modules.len());
        Self { modules }
    }

    /// Who imports whom, each pair once.
    fn imports(&self) -> BTreeSet<(&str, &str)> {
        let mut imports = BTreeSet::new();
        for (module, source) in &self.modules {
            for path in paths(source) {
                if let Some(target) = self.resolve(module, &path).filter(|target| target != module) {
                    imports.insert((module.as_str(), target));
                }
            }
        }
        imports
    }

    /// The module that a path within `module` leads into, if it is one of ours.
    fn resolve(&self, module: &str, path: &[String]) -> Option<&str> {
        let own: Vec<&str> = module.split("::").filter(|name| !name.is_empty()).collect();
        let mut names = path.iter().map(String::as_str).peekable();
        let mut found = match *names.peek()? {
            "crate" | "backpressure_sim" => {
                names.next();
                Vec::new()
            }
            "super" | "self" => {
                let mut depth = own.len();
                while let Some(step) = names.next_if(|name| matches!(*name, "super" | "self")) {
                    depth -= usize::from(step == "super");
                }
                own[..depth].to_vec()
            }
            first if self.modules.contains_key([&own[..], &[first]].concat().join("::").as_str()) => own,
            _ => return None,
        };
        for name in names {
            found.push(name);
            if !self.modules.contains_key(found.join("::").as_str()) {
                found.pop();
                break;
            }
        }
        self.modules.get_key_value(found.join("::").as_str()).map(|(known, _)| known.as_str())
    }
}

fn room_of(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// The text without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// All paths in a text: those of `use`, one for each leaf of its tree, and those written out, as in `crate::a::b()`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        // Back to where the path begins, then forward to its end.
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = rest[..at].rfind(|c: char| !is_part(c)).map_or(0, |before| before + 1);
        let length = end_of_path(&rest[at..]);
        branch(&rest[start..at + length], &[], &mut paths);
        rest = &rest[at + length..];
    }
    paths
}

/// How far a path goes on from a `::`: names, and the braces of a tree.
fn end_of_path(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if depth > 0 || text[..at].ends_with("::") => depth += 1,
            '}' if depth > 0 => depth -= 1,
            _ if depth > 0 || c == ':' || c == '_' || c.is_ascii_alphanumeric() => {}
            _ => return at,
        }
    }
    text.len()
}

/// The leaves of a tree such as `a::{b, c::d}`.
fn branch(tree: &str, stem: &[String], paths: &mut Vec<Vec<String>>) {
    let (names, leaves) = tree.split_once('{').unwrap_or((tree, ""));
    let mut stem = stem.to_vec();
    stem.extend(
        names.split("::").map(|name| name.split(" as ").next().unwrap_or_default().trim().to_string()),
    );
    stem.retain(|name| !name.is_empty());
    if leaves.is_empty() {
        paths.push(stem);
        return;
    }
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in leaves.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                branch(&leaves[start..at], &stem, paths);
                start = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Pairs of modules side by side that need each other, directly or by way of others.
fn circles<'m>(imports: BTreeSet<(&'m str, &'m str)>) -> BTreeSet<(String, String)> {
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in imports {
        let (from, to): (Vec<_>, Vec<_>) = (from.split("::").collect(), to.split("::").collect());
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        if shared < from.len().min(to.len()) {
            // The two that stand side by side, one of which holds each end.
            let side = |path: &[&str]| path[..=shared].join("::");
            needs.entry(side(&from)).or_default().insert(side(&to));
        }
    }
    let reachable = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![start];
        while let Some(module) = next.pop() {
            next.extend(
                needs.get(module).into_iter().flatten().filter(|other| seen.insert((*other).clone())),
            );
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        needs.keys().map(|module| (module, reachable(module))).collect();
    let back = |from: &String, to: &String| reach.get(to).is_some_and(|reached| reached.contains(from));
    let pairs = needs.iter().flat_map(|(from, others)| others.iter().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| back(from, to))
        .map(|(from, to)| if from < to { (from.clone(), to.clone()) } else { (to.clone(), from.clone()) })
        .collect()
}

/// The names in `[dependencies]`.
fn normal_dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = fs::read_to_string(repository(manifest)).unwrap().parse().unwrap();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    dependencies.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// What each package of `Cargo.lock` depends on, on any platform.
struct Lock(BTreeMap<String, BTreeSet<String>>);

impl Lock {
    fn read() -> Self {
        let lock: toml::Table = fs::read_to_string(repository("Cargo.lock")).unwrap().parse().unwrap();
        let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in lock["package"].as_array().unwrap() {
            let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
            // "name", or "name version" where there are several.
            let names = dependencies.into_iter().flatten().map(|name| name.as_str().unwrap());
            let names = names.map(|name| name.split(' ').next().unwrap().to_string());
            packages.entry(package["name"].as_str().unwrap().to_string()).or_default().extend(names);
        }
        Self(packages)
    }

    /// These and all that they bring along.
    fn closure(&self, roots: BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next: Vec<String> = roots.into_iter().collect();
        while let Some(name) = next.pop() {
            if found.insert(name.clone()) {
                next.extend(self.0.get(&name).into_iter().flatten().cloned());
            }
        }
        found
    }
}

#[test]
fn paths_of_a_text_are_found() {
    let text = "use crate::a::{self, b::{C, d}, e as f};\nlet x = super::g::h(1);\nuse std::fmt;";
    let found: Vec<String> = paths(text).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        ["crate::a::self", "crate::a::b::C", "crate::a::b::d", "crate::a::e", "super::g::h", "std::fmt"]
    );
}

#[test]
fn a_circle_is_found_where_it_closes() {
    let imports = [("a::x", "a::y::z"), ("a::y", "a::x"), ("a", "a::x"), ("a::x", "b"), ("b", "c")];
    let found = circles(imports.into_iter().collect());
    assert_eq!(found, [("a::x".to_string(), "a::y".to_string())].into_iter().collect());
}
