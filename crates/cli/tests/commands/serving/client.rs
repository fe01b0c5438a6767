//! A server that runs, and what it answers.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::fixture::{command, repository, wait_until};

/// The folder of a model that transformers answered with.
pub(super) fn model(name: &str) -> PathBuf {
    repository().join("crates/pipelines/tests/fixtures").join(name)
}

/// A copy of such a model that computes the `paper` semantics, in which rows of any length are computed together.
pub(super) fn paper_model(name: &str, into: &Path) -> PathBuf {
    let copy = into.join(name);
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(model(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in [("semantics", "paper"), ("attention", "nystrom"), ("pinv_init", "exact")] {
        config[key] = value.into();
    }
    fs::write(path, config.to_string()).unwrap();
    copy
}

/// A server of its own port.
pub(super) struct Server {
    pub(super) child: Child,
    /// Host and port.
    pub(super) address: String,
    log: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(super) fn start(models: &[&Path], arguments: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join("log");
        let mut serve = command("serve");
        for model in models {
            serve.arg("--model").arg(model);
        }
        serve.args(["--port", "0"]).args(arguments);
        let stderr = fs::File::create(&log).unwrap();
        let mut child = serve.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut address = String::new();
        wait_until("a server", || {
            let text = fs::read_to_string(&log).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it has ended: {text}");
            let Some((_, after)) = text.split_once("serving on http://") else { return false };
            after.split_once('/').is_some_and(|(found, _)| {
                found.clone_into(&mut address);
                true
            })
        });
        Self { child, address, log, _scratch: scratch }
    }

    /// What it has said so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream
    }

    /// What it answers to these bytes, after which nothing more comes.
    pub(super) fn answer_to(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // A server that has seen enough may close before it has all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        Answer::read(&mut stream)
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.asked("GET", path, "", b"")
    }

    /// Posts JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    pub(super) fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.asked("POST", path, "Content-Type: application/json\r\n", body)
    }

    /// `headers` each end with a line break.
    pub(super) fn asked(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = head(method, path, headers, body.len());
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        Answer::read(&mut stream).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// The value of a line of `/metrics`.
    pub(super) fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").text();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended as the test asked.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of a request whose connection ends with it.
pub(super) fn head(method: &str, path: &str, headers: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Reads all that comes; `None` if that is nothing.
    pub(super) fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        // A connection that is cut off after the answer has given it.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body })
    }

    /// The answer to `GET /health`, if there is one.
    pub(super) fn read_after_request(stream: &mut TcpStream) -> Option<Self> {
        let _ = stream.write_all(head("GET", "/health", "", 0).as_bytes());
        Self::read(stream)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What was answered, of an answer without an error.
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/json");
        self.json()
    }

    /// Asserts code and kind of a refusal in our form, and returns its message.
    pub(super) fn refused(&self, status: u16, error_type: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.json();
        assert_eq!(error["error_type"], error_type, "{error}");
        assert_eq!(error.as_object().unwrap().len(), 2, "{error}");
        error["error"].as_str().unwrap().to_owned()
    }
}
