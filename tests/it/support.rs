//! What the tests share: the repository, scenarios, and the command as people and scripts start it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use backpressure_sim::scenario::{Loaded, Scenario, ScenarioError, from_str, load};
use tempfile::TempDir;

/// A spike that one process of ten slots works off within seconds.
pub(crate) const SMALL: &str = r#"
# Does it work?
name = "small"
duration = "20s"
replications = 6
slo = ["lost_jobs == 0"]

[arrivals]
phases = [
    { name = "calm", for = "5s", rate = "50/s" },
    { name = "spike", for = "5s", rate = "300/s", spike = true },
    { name = "after", rate = "50/s" },
]

[policy]
recovery = 50
warning = 100
critical = 500

[workers]
concurrency = 10
overhead = "0s"
service_time = { distribution = "exponential", mean = "100ms" }
"#;

/// A path in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A scenario of the repository.
#[track_caller]
pub(crate) fn repository_scenario(file: &str, overrides: &[&str]) -> Scenario {
    valid(load(&repository("scenarios").join(file), &owned(overrides))).scenario
}

/// The scenario of a text.
#[track_caller]
pub(crate) fn scenario(text: &str, overrides: &[&str]) -> Scenario {
    valid(from_str(text, "test.toml", Path::new(""), &owned(overrides))).scenario
}

#[track_caller]
fn valid(read: Result<Loaded, ScenarioError>) -> Loaded {
    read.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// A folder of its own with one file in it.
pub(crate) fn folder_with(name: &str, text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// A folder of its own with the small scenario in it.
pub(crate) fn workplace() -> TempDir {
    folder_with("small.toml", SMALL)
}

/// What a folder holds, by name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect()
}

/// The built program.
pub(crate) const SIMULATE: &str = env!("CARGO_BIN_EXE_simulate");

/// The program in that folder, in an environment that says nothing to it.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(SIMULATE);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    // The tests themselves may run in a terminal without colours, or under a launcher.
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

const VARIABLES: [&str; 9] = [
    "NO_COLOR",
    "JOB_COMPLETION_INDEX",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_MAX",
    "HQ_TASK_ID",
    "AWS_BATCH_JOB_ARRAY_INDEX",
    "PBS_ARRAY_INDEX",
];

/// Runs it to its end.
pub(crate) fn simulate(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Interrupts it after a while, and waits for its end.
pub(crate) fn interrupt(child: Child, after: Duration) -> Output {
    std::thread::sleep(after);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// It ended with that code and said all of `messages` on stderr, and nothing of panics.
#[track_caller]
pub(crate) fn check_code(output: &Output, code: i32, messages: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for message in messages {
        assert!(stderr.contains(message), "no `{message}` in:\n{stderr}");
    }
}

/// The same, and nothing on stdout: that is for results.
#[track_caller]
pub(crate) fn check_refusal(folder: &Path, arguments: &[&str], code: i32, messages: &[&str]) {
    let output = simulate(folder, arguments);
    check_code(&output, code, messages);
    assert_eq!(text(&output.stdout), "", "results only on stdout");
}

/// The page without its own script and the data that it reads, which load nothing and in which no text ends an element. What
/// else begins a script would be the text of a user that became one.
#[track_caller]
pub(crate) fn without_own_scripts(page: &str) -> String {
    const DATA: &str = "<script type=\"application/json\">";
    const SCRIPT: &str = "<script>\n// Brings the charts of a report to life";
    let mut rest = page;
    let mut without = String::new();
    let mut scripts = 0;
    while let Some(start) = rest.find("<script") {
        without += &rest[..start];
        let element = &rest[start..];
        let end = element.find("</script>").expect("a script ends");
        let text = &element[..end];
        if let Some(data) = text.strip_prefix(DATA) {
            serde_json::from_str::<serde_json::Value>(data).expect("data is JSON");
            assert!(!data.contains('<'), "{data}");
        } else {
            assert!(text.starts_with(SCRIPT), "{}", &text[..text.len().min(200)]);
            for forbidden in
                ["http", "fetch(", "XMLHttp", "eval(", "Function(", "import", "innerHTML", "src="]
            {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
            scripts += 1;
        }
        rest = &element[end + "</script>".len()..];
    }
    assert!(scripts <= 1, "the page has one script");
    without + rest
}
