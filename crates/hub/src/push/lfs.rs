//! Large files, by [Git LFS](https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md): in one piece, or in parts where
//! the Hub wants it so.

use std::{cell::Cell, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{Body, http::Response};

use super::LocalFile;
use crate::{
    Hub, Progress,
    client::{Call, FilePart, header_of, read_json},
    error::{HubError, Result, brief},
    name::ModelName,
};

/// The type of requests and answers.
const LFS_JSON: &str = "application/vnd.git-lfs+json";

/// Files that the Hub is asked about at once.
const ASKED_AT_ONCE: usize = 100;

/// A large file by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LargeFile<'a> {
    pub(super) file: &'a LocalFile,
    /// In hexadecimal.
    pub(super) sha256: String,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    #[serde(default)]
    message: String,
}

/// What is to be done with an object; nothing if the Hub has it.
#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    /// Headers of a request; of parts their size and their addresses.
    #[serde(default)]
    header: Option<BTreeMap<String, Value>>,
}

impl Hub {
    /// Sends what the Hub does not have yet, and says how many bytes that were.
    pub(super) fn upload(
        &self,
        files: &[LargeFile<'_>],
        model: &ModelName,
        progress: Progress<'_>,
    ) -> Result<u64> {
        let total: u64 = files.iter().map(|large| large.file.size).sum();
        let (mut sent, done) = (0, Cell::new(0));
        let url = format!("{}/{}.git/info/lfs/objects/batch", self.client.endpoint(), model.id());
        for files in files.chunks(ASKED_AT_ONCE) {
            let objects: Vec<Value> = files
                .iter()
                .map(|large| json!({ "oid": large.sha256, "size": large.file.size }))
                .collect();
            let asked = json!({
                "operation": "upload",
                "transfers": ["basic", "multipart"],
                "hash_algo": "sha256",
                "ref": { "name": model.revision() },
                "objects": objects,
            });
            let asked = asked.to_string();
            let call = Call::post(&url, asked.as_bytes())
                .header("accept", LFS_JSON)
                .header("content-type", LFS_JSON);
            let batch: Batch = read_json(self.client.accept(self.client.send(&call)?, model)?)?;
            for large in files {
                let object = batch.objects.iter().find(|object| object.oid == large.sha256);
                let Some(object) = object else {
                    return Err(unknown(large, "says nothing of it"));
                };
                if let Some(error) = &object.error {
                    let file = &large.file.name;
                    let problem =
                        format!("the Hub does not take `{file}`: {}", brief(&error.message));
                    return Err(HubError::Refused(problem));
                }
                let before = done.get();
                if let Some(actions) = &object.actions {
                    self.send_object(large, actions, model, &|now, _| {
                        progress(before + now, total);
                    })?;
                    sent += large.file.size;
                }
                done.set(before + large.file.size);
                progress(done.get(), total);
            }
        }
        Ok(sent)
    }

    fn send_object(
        &self,
        large: &LargeFile<'_>,
        actions: &Actions,
        model: &ModelName,
        progress: Progress<'_>,
    ) -> Result<()> {
        let Some(upload) = &actions.upload else { return Ok(()) };
        let none = BTreeMap::new();
        let header = upload.header.as_ref().unwrap_or(&none);
        if let Some(chunk) = header.get("chunk_size") {
            self.send_parts(large, &upload.href, chunk, header, progress)?;
        } else {
            let whole = FilePart { path: &large.file.path, start: 0, length: large.file.size };
            let mut call = Call::put(&upload.href, whole);
            for (name, value) in header {
                call = call.header(name, value.as_str().unwrap_or_default());
            }
            self.send_large(&call, large)?;
        }
        if let Some(verify) = &actions.verify {
            let content = json!({ "oid": large.sha256, "size": large.file.size }).to_string();
            let call = Call::post(&verify.href, content.as_bytes()).json();
            self.client.accept(self.client.send(&call)?, model)?;
        }
        Ok(())
    }

    /// Sends a file in parts: the headers of the action are the size of a part, and its address by its number.
    fn send_parts(
        &self,
        large: &LargeFile<'_>,
        completion: &str,
        chunk: &Value,
        header: &BTreeMap<String, Value>,
        progress: Progress<'_>,
    ) -> Result<()> {
        let size = large.file.size;
        let chunk = match chunk {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let addresses: BTreeMap<u64, &str> = header
            .iter()
            .filter_map(|(number, address)| Some((number.parse().ok()?, address.as_str()?)))
            .collect();
        let chunk = chunk.filter(|chunk| *chunk > 0);
        let Some(chunk) = chunk.filter(|chunk| addresses.len() as u64 == size.div_ceil(*chunk))
        else {
            return Err(unknown(large, "wants it in parts, and does not say into which"));
        };
        let mut parts = Vec::new();
        for (number, address) in (1..).zip(addresses.into_values()) {
            let start = (number - 1) * chunk;
            let length = chunk.min(size - start);
            let part = FilePart { path: &large.file.path, start, length };
            let answer = self.send_large(&Call::put(address, part), large)?;
            let Some(tag) = header_of(&answer, "etag").filter(|tag| !tag.is_empty()) else {
                return Err(unknown(large, "does not name a part that it took"));
            };
            parts.push(json!({ "partNumber": number, "etag": tag }));
            progress(start + length, size);
        }
        let content = json!({ "oid": large.sha256, "parts": parts }).to_string();
        let call = Call::post(completion, content.as_bytes())
            .header("accept", LFS_JSON)
            .header("content-type", LFS_JSON);
        self.send_large(&call, large).map(drop)
    }

    /// A request to where large files lie, which is another server than the Hub.
    fn send_large(&self, call: &Call<'_>, large: &LargeFile<'_>) -> Result<Response<Body>> {
        let answer = self.client.send(call)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(HubError::Refused(format!(
            "the server for large files answers `{}` to `{}`; push again: what is there already is not sent twice",
            answer.status().as_u16(),
            large.file.name
        )))
    }
}

/// The error of an answer that does not say how a file is to be sent.
fn unknown(large: &LargeFile<'_>, what: &str) -> HubError {
    HubError::Damaged(format!("the Hub was asked how to send `{}`, and {what}", large.file.name))
}
