//! How the Hub wants each file, and the commit itself.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
};

use serde::Deserialize;
use serde_json::json;

use super::{Folder, LocalFile, Pushed, lfs::LargeFile};
use crate::{
    Hub,
    checksum::sha256,
    client::{Call, quoted, read_json},
    error::{HubError, Result, brief},
    name::ModelName,
};

/// Files that the Hub is asked about at once.
const ASKED_AT_ONCE: usize = 256;

/// Bytes of a file that the Hub is shown, to tell text from others.
const SAMPLE_BYTES: u64 = 512;

/// Bytes of all files that travel inside a commit, which is made in memory.
const MAX_INLINE_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Forms {
    files: Vec<Form>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Committed {
    commit_url: String,
    commit_oid: String,
}

impl Hub {
    /// The files that go into the commit, and those that go before it.
    pub(super) fn wanted_forms<'a>(
        &self,
        folder: &'a Folder,
        model: &ModelName,
    ) -> Result<(Vec<&'a LocalFile>, Vec<LargeFile<'a>>)> {
        let (endpoint, branch) = (self.client.endpoint(), quoted(model.revision()));
        let url = format!("{endpoint}/api/models/{}/preupload/{branch}", model.id());
        let (mut small, mut large, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
        for files in folder.files().chunks(ASKED_AT_ONCE) {
            let shown = files.iter().map(shown).collect::<Result<Vec<_>>>()?;
            let asked = json!({ "files": shown }).to_string();
            let answer = self.client.send(&Call::post(&url, asked.as_bytes()).json())?;
            let forms: Forms = read_json(self.client.accept(answer, model)?)?;
            let forms: BTreeMap<String, Form> =
                forms.files.into_iter().map(|form| (form.path.clone(), form)).collect();
            for file in files {
                match forms.get(&file.name) {
                    Some(form) if form.should_ignore => ignored.push(format!("`{}`", file.name)),
                    Some(form) if form.upload_mode == "regular" => small.push(file),
                    Some(form) if form.upload_mode == "lfs" => {
                        let sha256 =
                            sha256(&file.path).map_err(HubError::disk("read", &file.path))?;
                        large.push(LargeFile { file, sha256 });
                    }
                    form => {
                        let mode = form.map_or("nothing", |form| form.upload_mode.as_str());
                        return Err(HubError::Damaged(format!(
                            "the Hub wants `{}` in a form that is not known here, `{}`",
                            file.name,
                            brief(mode)
                        )));
                    }
                }
            }
        }
        if !ignored.is_empty() {
            tracing::warn!(
                "{} files are left out, since the `.gitignore` of the repository names them: {}",
                ignored.len(),
                ignored.join(", ")
            );
        }
        Ok((small, large))
    }

    /// Makes the commit.
    pub(super) fn commit(
        &self,
        small: &[&LocalFile],
        large: &[LargeFile<'_>],
        model: &ModelName,
        message: &str,
        large_bytes: u64,
    ) -> Result<Pushed> {
        let inline: u64 = small.iter().map(|file| file.size).sum();
        if inline > MAX_INLINE_BYTES {
            return Err(HubError::Damaged(format!(
                "the Hub wants {:.0} MB inside the commit, where {:.0} MB have room; check `HF_ENDPOINT`",
                inline as f64 / 1e6,
                MAX_INLINE_BYTES as f64 / 1e6
            )));
        }
        let mut lines = Vec::new();
        let mut add = |key: &str, value: serde_json::Value| {
            // A vector takes everything.
            let _ = writeln!(lines, "{}", json!({ "key": key, "value": value }));
        };
        add("header", json!({ "summary": message, "description": "" }));
        for file in small {
            let content = fs::read(&file.path).map_err(HubError::disk("read", &file.path))?;
            add(
                "file",
                json!({
                    "path": file.name, "content": base64::encode(content), "encoding": "base64",
                }),
            );
        }
        for LargeFile { file, sha256 } in large {
            add(
                "lfsFile",
                json!({
                    "path": file.name, "algo": "sha256", "oid": sha256, "size": file.size,
                }),
            );
        }
        let (endpoint, id, branch) = (self.client.endpoint(), model.id(), quoted(model.revision()));
        let url = format!("{endpoint}/api/models/{id}/commit/{branch}");
        let call = Call::post(url, &lines).header("content-type", "application/x-ndjson").once();
        let answer = self.client.accept(self.client.send(&call)?, model)?;
        let committed: Committed = read_json(answer)?;
        let url = match committed.commit_url {
            url if url.is_empty() => format!("{endpoint}/{id}"),
            url => brief(&url),
        };
        Ok(Pushed {
            url,
            commit: brief(&committed.commit_oid),
            files: small.len() + large.len(),
            large_bytes,
        })
    }
}

/// What the Hub is told of a file before it says how it wants it.
fn shown(file: &LocalFile) -> Result<serde_json::Value> {
    let mut sample = Vec::new();
    File::open(&file.path)
        .and_then(|content| content.take(SAMPLE_BYTES).read_to_end(&mut sample))
        .map_err(HubError::disk("read", &file.path))?;
    Ok(json!({ "path": file.name, "size": file.size, "sample": base64::encode(sample) }))
}
