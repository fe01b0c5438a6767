//! A server that answers as the Hub does: models, redirects to a second server for large files, Git LFS.
//!
//! A connection is one request, so that what was asked is a list of requests in order.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use nystromformer_hub::{Hub, Settings, Token};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit that `main` is.
pub(crate) const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// The secret that must go to the Hub alone.
pub(crate) const TOKEN: &str = "hf_ofATest";

/// Files of this many bytes are large ones.
pub(crate) const LARGE: usize = 1000;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) content: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.content).unwrap()
    }
}

/// An answer as it goes out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
    /// Bytes of the content after which the connection breaks.
    pub(crate) breaks_after: Option<usize>,
}

impl Answer {
    pub(crate) fn of(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Vec::new(), breaks_after: None }
    }

    pub(crate) fn json(content: &Value) -> Self {
        Self { content: content.to_string().into(), ..Self::of(200) }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What may answer in the Hub's place, if it has an answer.
type Instead = Box<dyn FnMut(&Asked) -> Option<Answer> + Send>;

/// What a server holds, and what was asked of it.
#[derive(Default)]
pub(crate) struct State {
    /// Files of `owner/model`, the only repository; none if there is none.
    pub(crate) files: Option<BTreeMap<String, Vec<u8>>>,
    /// Objects of Git LFS by their SHA-256.
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Bytes of a part of a large file; in one piece if `None`.
    pub(crate) part_bytes: Option<usize>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) instead: Option<Instead>,
    endpoint: String,
    /// The server for large files.
    storage: String,
}

/// A Hub, and a second server for large files.
pub(crate) struct LocalHub {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
    storage: Arc<Mutex<State>>,
}

impl LocalHub {
    /// With these files in `owner/model`.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let hub = Self::empty();
        let files = files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec()));
        hub.state().files = Some(files.collect());
        hub
    }

    /// Without a repository.
    pub(crate) fn empty() -> Self {
        let (state, storage) = (Arc::default(), Arc::default());
        let endpoint = serve(&state, answer_of_hub);
        let of_storage = Arc::clone(&state);
        let address = serve(&storage, move |_, asked| {
            answer_of_storage(&mut of_storage.lock().unwrap(), asked)
        });
        let hub = Self { endpoint: endpoint.clone(), state, storage };
        hub.state().endpoint = endpoint;
        hub.state().storage = address;
        hub
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What was asked of the Hub.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// What was asked of the server for large files.
    pub(crate) fn asked_of_storage(&self) -> Vec<Asked> {
        self.storage.lock().unwrap().asked.clone()
    }

    /// Lets `instead` answer where it has an answer.
    pub(crate) fn answer_instead(
        &self,
        instead: impl FnMut(&Asked) -> Option<Answer> + Send + 'static,
    ) {
        self.state().instead = Some(Box::new(instead));
    }

    /// The same of the server for large files.
    pub(crate) fn storage_answers_instead(
        &self,
        instead: impl FnMut(&Asked) -> Option<Answer> + Send + 'static,
    ) {
        self.storage.lock().unwrap().instead = Some(Box::new(instead));
    }

    /// Settings of a user with a token and this cache.
    pub(crate) fn settings(&self, cache: &Path) -> Settings {
        Settings {
            endpoint: self.endpoint.clone(),
            cache: cache.to_owned(),
            token: Token::of(TOKEN).unwrap(),
            offline: false,
            patience: Duration::from_secs(20),
            pause: Duration::from_millis(1),
            certificates: None,
            proxies: false,
        }
    }

    /// What a user with a token and this cache asks.
    pub(crate) fn client(&self, cache: &Path) -> Hub {
        Hub::new(self.settings(cache)).unwrap()
    }
}

/// Answers at an address of its own until the process ends.
fn serve(
    state: &Arc<Mutex<State>>,
    answer: impl Fn(&mut State, &Asked) -> Answer + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (state, answer) = (Arc::clone(state), Arc::new(answer));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (state, answer) = (Arc::clone(&state), Arc::clone(&answer));
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let Some(asked) = read(&stream) else { return };
                let given = {
                    let mut state = state.lock().unwrap();
                    state.asked.push(asked.clone());
                    let instead = state.instead.as_mut().and_then(|instead| instead(&asked));
                    instead.unwrap_or_else(|| answer(&mut state, &asked))
                };
                // The client may have gone away, as a test may want it.
                let _ = write(&mut stream, &given, asked.method == "HEAD");
            });
        }
    });
    address
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut content = vec![0; length];
    reader.read_exact(&mut content).ok()?;
    Some(Asked { method, path, headers, content })
}

fn write(stream: &mut TcpStream, answer: &Answer, head: bool) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {} Answer\r\nconnection: close\r\n", answer.status)?;
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "content-length: {}\r\n\r\n", answer.content.len())?;
    if !head {
        let end = answer.breaks_after.unwrap_or(answer.content.len());
        stream.write_all(&answer.content[..end])?;
    }
    stream.flush()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

fn git_blob(content: &[u8]) -> String {
    let hash = Sha1::new_with_prefix(format!("blob {}\0", content.len()));
    format!("{:x}", hash.chain_update(content).finalize())
}

fn answer_of_hub(state: &mut State, asked: &Asked) -> Answer {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        (_, ["api", "models", "owner", "model", rest @ ..]) => match (&state.files, rest) {
            (None, _) => Answer::of(404).with("x-error-code", "RepoNotFound"),
            (Some(_), []) => Answer::json(&json!({ "id": "owner/model", "private": false })),
            (Some(files), ["revision", "main" | "v1" | COMMIT]) => {
                let siblings: Vec<Value> =
                    files.keys().map(|name| json!({ "rfilename": name })).collect();
                Answer::json(&json!({ "id": "owner/model", "sha": COMMIT, "siblings": siblings }))
            }
            (Some(_), ["revision", _]) => Answer::of(404).with("x-error-code", "RevisionNotFound"),
            (Some(_), ["branch", _]) => Answer::json(&json!({})),
            (Some(_), ["preupload", _]) => Answer::json(&forms(&asked.json())),
            (Some(_), ["commit", _]) => {
                let files = committed(state, &asked.content);
                if let Some(known) = &mut state.files {
                    known.extend(files);
                }
                let url = format!("{}/owner/model/commit/{COMMIT}", state.endpoint);
                Answer::json(&json!({ "commitUrl": url, "commitOid": COMMIT }))
            }
            _ => Answer::of(404),
        },
        ("POST", ["api", "repos", "create"]) => {
            state.files = Some(BTreeMap::new());
            Answer::json(&json!({ "url": format!("{}/owner/model", state.endpoint) }))
        }
        ("POST", ["owner", "model.git", "info", "lfs", "objects", "batch"]) => {
            Answer::json(&actions(state, &asked.json()))
        }
        ("POST", ["verify"]) => {
            let is_there =
                state.objects.contains_key(asked.json()["oid"].as_str().unwrap_or_default());
            Answer::of(if is_there { 200 } else { 404 })
        }
        (_, ["owner", "model", "resolve", COMMIT, name @ ..]) => {
            match state.files.as_ref().and_then(|files| files.get(name.join("/").as_str())) {
                None => Answer::of(404).with("x-error-code", "EntryNotFound"),
                Some(content) if content.len() < LARGE => ranged(content, asked)
                    .with("x-repo-commit", COMMIT)
                    .with("etag", format!("\"{}\"", git_blob(content))),
                Some(content) => Answer::of(302)
                    .with("x-repo-commit", COMMIT)
                    .with("location", format!("{}/objects/{}", state.storage, sha256(content)))
                    .with("etag", "\"of-the-redirect\"")
                    .with("x-linked-etag", format!("\"{}\"", sha256(content)))
                    .with("x-linked-size", content.len().to_string()),
            }
        }
        _ => Answer::of(404).with("x-error-code", "RepoNotFound"),
    }
}

/// The server for large files: those of the repository, and those that come.
fn answer_of_storage(hub: &mut State, asked: &Asked) -> Answer {
    let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["objects", oid]) => {
            let mut files = hub.files.iter().flat_map(BTreeMap::values);
            match files.find(|content| sha256(content) == *oid) {
                Some(content) => ranged(content, asked),
                None => Answer::of(404),
            }
        }
        ("PUT", ["objects", oid]) => {
            hub.objects.insert((*oid).to_owned(), asked.content.clone());
            Answer::of(200)
        }
        ("PUT", ["parts", oid, number]) => {
            hub.objects.insert(format!("{oid}/{number}"), asked.content.clone());
            Answer::of(200).with("etag", format!("\"part-{number}\""))
        }
        ("POST", ["complete", oid]) => {
            let told = asked.json();
            let parts = told["parts"].as_array().unwrap();
            let whole: Vec<u8> = parts
                .iter()
                .flat_map(|part| {
                    assert_eq!(part["etag"], json!(format!("\"part-{}\"", part["partNumber"])));
                    hub.objects[&format!("{oid}/{}", part["partNumber"])].clone()
                })
                .collect();
            hub.objects.insert((*oid).to_owned(), whole);
            Answer::of(200)
        }
        _ => Answer::of(404),
    }
}

/// A file, or the rest of it that is asked for.
fn ranged(content: &[u8], asked: &Asked) -> Answer {
    let from = asked
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        None => Answer { content: content.to_vec(), ..Answer::of(200) },
        Some(from) if from >= content.len() => Answer::of(416),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Answer { content: content[from..].to_vec(), ..Answer::of(206) }
                .with("content-range", range)
        }
    }
}

/// How the Hub wants files: `.gitignore` names those called `ignored`.
fn forms(asked: &Value) -> Value {
    let files: Vec<Value> = asked["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let mode = if file["size"].as_u64() < Some(LARGE as u64) { "regular" } else { "lfs" };
            let ignored = file["path"] == "ignored";
            json!({ "path": file["path"], "uploadMode": mode, "shouldIgnore": ignored })
        })
        .collect();
    json!({ "files": files })
}

/// Where large files are to be sent that are not there.
fn actions(state: &State, asked: &Value) -> Value {
    let objects: Vec<Value> = asked["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| {
            let oid = object["oid"].as_str().unwrap();
            let (hub, storage) = (&state.endpoint, &state.storage);
            let mut given = object.clone();
            if state.objects.contains_key(oid) {
                return given;
            }
            let mut upload = json!({ "href": format!("{storage}/objects/{oid}"), "header": {} });
            if let Some(bytes) = state.part_bytes {
                let parts = object["size"].as_u64().unwrap().div_ceil(bytes as u64);
                let mut header = json!({ "chunk_size": bytes.to_string() });
                for part in 1..=parts {
                    header[format!("{part:05}")] = json!(format!("{storage}/parts/{oid}/{part}"));
                }
                upload = json!({ "href": format!("{storage}/complete/{oid}"), "header": header });
            }
            given["actions"] =
                json!({ "upload": upload, "verify": { "href": format!("{hub}/verify") } });
            given
        })
        .collect();
    json!({ "objects": objects })
}

/// The files of a commit.
fn committed(state: &State, content: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for line in std::str::from_utf8(content).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let value = &line["value"];
        let content = match line["key"].as_str().unwrap() {
            "file" => base64::decode(value["content"].as_str().unwrap()).unwrap(),
            "lfsFile" => state.objects[value["oid"].as_str().unwrap()].clone(),
            _ => continue,
        };
        files.insert(value["path"].as_str().unwrap().to_owned(), content);
    }
    files
}
