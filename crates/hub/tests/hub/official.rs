//! Hugging Face's own client beside ours: it reads our cache and we read its, and both speak to the same Hub.
//!
//! `HUGGINGFACE_HUB_PYTHON` names a Python that has `huggingface_hub`, as `.ci/run hub` does; without it nothing is compared.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use nystromformer_hub::{Folder, PushOptions};
use serde_json::Value;

use crate::{
    downloads::{download, model, name, weights},
    local_hub::{Asked, LocalHub, TOKEN},
};

/// What the official client prints; `None` if there is none.
fn official(hub: &LocalHub, cache: &Path, arguments: &[&str]) -> Option<String> {
    let Some(python) = env::var_os("HUGGINGFACE_HUB_PYTHON") else {
        println!("skipped: `HUGGINGFACE_HUB_PYTHON` names no Python with `huggingface_hub`");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/reference/check_hub.py");
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .env("HF_HUB_CACHE", cache)
        .env("HF_HOME", cache)
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_TOKEN", TOKEN)
        .env("HF_HUB_DISABLE_XET", "1")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .env_remove("HF_HUB_OFFLINE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn each_reads_what_the_other_has_downloaded() {
    let (hub, ours) = (model(), tempfile::tempdir().unwrap());
    let downloaded = download(&hub.client(ours.path())).unwrap();
    let asked = hub.asked().len();
    let Some(folder) = official(&hub, ours.path(), &["cached", "owner/model"]) else { return };
    assert_eq!(PathBuf::from(folder), downloaded.folder);
    // Nor does it download again what is there.
    official(&hub, ours.path(), &["download", "owner/model"]);
    let later = &hub.asked()[asked..];
    assert!(later.iter().all(|asked| !asked.path.contains("/resolve/")), "{later:?}");

    let theirs = tempfile::tempdir().unwrap();
    let folder = official(&hub, theirs.path(), &["download", "owner/model"]).unwrap();
    let found = download(&hub.client(theirs.path())).unwrap();
    assert_eq!((found.folder, found.downloaded), (PathBuf::from(&folder), 0));
    assert_eq!(fs::read(Path::new(&folder).join("model.safetensors")).unwrap(), weights());
}

/// What a client has posted, but for its ways: `(path, content)`.
fn posted(hub: &LocalHub) -> Vec<(String, Value)> {
    let content = |asked: &Asked| {
        let text = std::str::from_utf8(&asked.content).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines: Vec<Value> = lines.collect();
        for line in &mut lines {
            // The message is the caller's.
            if line["key"] == "header" {
                line["value"] = Value::Null;
            }
        }
        lines.sort_by_key(ToString::to_string);
        Value::from(lines)
    };
    let hub = hub.asked().into_iter().filter(|asked| asked.method == "POST");
    let hub = hub.filter(|asked| asked.path != "/api/repos/create");
    hub.map(|asked| (asked.path.clone(), content(&asked))).collect()
}

#[test]
fn both_send_the_same_requests_for_the_same_folder() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, content) in [("config.json", b"{}".as_slice()), ("model.safetensors", &weights())] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    for part_bytes in [None, Some(250_000)] {
        let [theirs, ours] = [LocalHub::empty(), LocalHub::empty()];
        for hub in [&theirs, &ours] {
            hub.state().part_bytes = part_bytes;
        }
        let Some(url) = official(&theirs, cache.path(), &["upload", path, "owner/model"]) else {
            return;
        };
        let pushed = ours
            .client(cache.path())
            .push(
                &Folder::read(folder.path()).unwrap(),
                &name("owner/model"),
                &PushOptions::default(),
                &|_, _| {},
            )
            .unwrap();
        let without_host = |url: &str, hub: &LocalHub| url.replace(&hub.endpoint, "");
        assert_eq!(without_host(&url, &theirs), without_host(&pushed.url, &ours));
        assert_eq!(theirs.state().files, ours.state().files);
        assert_eq!(posted(&theirs), posted(&ours));
    }
}
