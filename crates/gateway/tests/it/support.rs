//! Processes that end with the test, and what all tests need of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use backpressure_gateway::app::App;
use backpressure_gateway::http::router;
use backpressure_gateway::settings::Settings;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// Settings as if the environment held just these.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Settings {
    let mut variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let is_embedded = !variables.contains_key("REDIS_URL");
    variables.entry("OPEN_ACCESS".to_owned()).or_insert("true".to_owned());
    variables.entry("EMBEDDED_QUEUE".to_owned()).or_insert(is_embedded.to_string());
    Settings::read(|name| variables.get(name).cloned()).unwrap()
}

/// One request to the router, without a socket.
pub(crate) async fn call(app: &Arc<App>, request: Request<Body>) -> (StatusCode, Value) {
    let (status, text) = call_text(app, request).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
}

pub(crate) async fn call_text(app: &Arc<App>, request: Request<Body>) -> (StatusCode, String) {
    let answer = router(app.clone()).oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

pub(crate) async fn get(app: &Arc<App>, path: &str) -> (StatusCode, Value) {
    call(app, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) fn post(media_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/api/v1/datastreams").header("content-type", media_type).body(body.into()).unwrap()
}

pub(crate) async fn send(app: &Arc<App>, body: &Value) -> (StatusCode, Value) {
    call(app, post("application/json", body.to_string())).await
}

pub(crate) fn event(event_type: &str, number: u64) -> Value {
    serde_json::json!({ "type": event_type, "data": { "number": number } })
}

/// Waits until `is_so`, and says what was waited for if it never is.
#[track_caller]
pub(crate) fn within<F: Future<Output = bool>>(
    patience: Duration,
    what: &str,
    mut is_so: impl FnMut() -> F,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < patience, "{place}: not within {patience:?}: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A port that nothing listens on, given to one caller alone. Below those that the system hands out itself: a server that is
/// started later, or again, would find one of these taken by some connection.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + turn % COUNT).expect("the last one is below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process that is killed at the end of the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(child: Child) -> Process {
        Process(child)
    }

    /// Sets the largest size of its files, in bytes: a stand-in for a full disk.
    pub(crate) fn limit_of_files(&self) -> impl Fn(&str) + use<> {
        let process = self.id().to_string();
        move |bytes| {
            let limit = format!("--fsize={bytes}:unlimited");
            assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// The most bytes that it ever had resident.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// Its exit code, once it has ended.
    pub(crate) async fn end(&mut self, patience: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < patience, "the process has not ended within {patience:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A redis-server of the test's own.
pub(crate) struct Redis {
    pub(crate) port: u16,
    dir: TempDir,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// One that keeps nothing on disk.
    pub(crate) fn start(arguments: &[&str]) -> Redis {
        let mut redis = Redis::prepare(arguments);
        redis.restart();
        redis
    }

    /// One whose every acknowledged write survives kill -9.
    pub(crate) fn start_durable(arguments: &[&str]) -> Redis {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"];
        Redis::start(&[&durable[..], arguments].concat())
    }

    pub(crate) fn prepare(arguments: &[&str]) -> Redis {
        let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        Redis { port: free_port(), dir: tempfile::tempdir().unwrap(), arguments, process: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
    }

    /// Starts it, again if need be, with what it has on disk.
    pub(crate) fn restart(&mut self) {
        let log = File::create(self.dir.path().join("redis.log")).unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.dir.path())
            .args(&self.arguments)
            .stdout(log)
            .spawn()
            .expect("redis-server is installed");
        self.process = Some(Process(child));
        let begun = Instant::now();
        while self.try_ask(&["PING"]).as_deref() != Some("PONG") {
            assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn try_ask(&self, command: &[&str]) -> Option<String> {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        let output = output.expect("redis-cli is installed");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// The answer of redis-cli.
    #[track_caller]
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        self.try_ask(command).unwrap_or_else(|| panic!("redis-cli {command:?} failed"))
    }
}

/// The gateway as a process.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
    pub(crate) dir: TempDir,
    variables: Vec<(String, String)>,
    pub(crate) process: Option<Process>,
    client: reqwest::Client,
}

impl Gateway {
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Gateway {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut gateway = Gateway {
            port: free_port(),
            admin_port: free_port(),
            dir: tempfile::tempdir().unwrap(),
            variables: variables.collect(),
            process: None,
            client: reqwest::Client::new(),
        };
        gateway.restart().await;
        gateway
    }

    pub(crate) async fn restart(&mut self) {
        self.spawn();
        self.answers().await;
    }

    /// A new one starts on other ports, then the old one is told to end, and the new one takes over its folder.
    pub(crate) async fn replace(&mut self) {
        let mut old = self.process.take().expect("it runs");
        (self.port, self.admin_port) = (free_port(), free_port());
        self.spawn();
        tokio::time::sleep(Duration::from_millis(100)).await;
        old.signal("TERM");
        assert_eq!(old.end(Duration::from_secs(20)).await, Some(0));
        self.answers().await;
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env_clear()
            .env("DRAIN_DELAY_MS", "0")
            .env("EMBEDDED_QUEUE", (!self.variables.iter().any(|(name, _)| name == "REDIS_URL")).to_string())
            .envs(self.variables.iter().cloned())
            .env("HOST", "127.0.0.1")
            .env("PORT", self.port.to_string())
            .env("ADMIN_HOST", "127.0.0.1")
            .env("ADMIN_PORT", self.admin_port.to_string())
            .env("SPILL_DIR", self.dir.path().join("spill"))
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(Process(child));
    }

    async fn answers(&self) {
        within(Duration::from_secs(20), "the gateway answers", || async {
            self.client.get(self.path("/health/liveness")).send().await.is_ok()
        })
        .await;
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1{path}", self.port)
    }

    pub(crate) fn admin_path(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1{path}", self.admin_port)
    }

    /// The value of a series of Prometheus, as the admin port tells it; the sum if there are several.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let text = self
            .client()
            .get(self.admin_path("/metrics/prometheus"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let values =
            text.lines().filter(|line| line.starts_with(series)).map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap() as u64).sum()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client().get(self.path(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Status and answer; `None` if the connection broke.
    pub(crate) async fn send(&self, body: &Value) -> Option<(u16, Value)> {
        let answer = self.client().post(self.path("/datastreams")).json(body).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }
}

fn bullmq_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bullmq")
}

fn node(script: &str, settings: &Value) -> Child {
    Command::new("node")
        .arg(bullmq_folder().join(script))
        .arg(settings.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed")
}

/// A BullMQ worker as a process.
pub(crate) fn worker(settings: &Value) -> Process {
    let mut child = node("worker.mjs", settings);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let process = Process(child);
    assert_eq!(line.trim(), "ready", "BullMQ is installed: npm ci in {}", bullmq_folder().display());
    process
}

/// A BullMQ queue that answers questions.
pub(crate) struct Peer {
    _process: Process,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(settings: &Value) -> Peer {
        let mut child = node("peer.mjs", settings);
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Peer { _process: Process(child), questions, answers };
        assert_eq!(peer.answer(), "ready");
        peer
    }

    /// Calls a method of BullMQ's Queue.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("BullMQ's queue said {line:?}"))
    }
}
