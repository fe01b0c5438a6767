//! Repositories, branches, commits, Git LFS in one piece and in parts.

use std::{cell::RefCell, fs, path::Path};

use nystromformer_hub::{Folder, Hub, HubError, ModelName, PushOptions, Pushed, Settings};
use serde_json::{Value, json};

use crate::{
    downloads::{MODEL, name, weights},
    local_hub::{Answer, Asked, COMMIT, LocalHub, TOKEN, sha256},
};

/// A folder with a model of small files and a large one.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("config.json", b"{}".as_slice()),
        ("onnx.txt", b"small"),
        ("ignored", b"by .gitignore"),
        (".hidden", b"not pushed"),
        ("model.safetensors", &weights()),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn push(
    hub: &Hub,
    folder: &Path,
    model: &ModelName,
    options: &PushOptions,
) -> Result<Pushed, HubError> {
    hub.push(&Folder::read(folder).unwrap(), model, options, &|_, _| {})
}

/// Paths of the requests that change something, or ask how.
fn posted(hub: &LocalHub) -> Vec<String> {
    let asked = hub.asked().into_iter().filter(|asked| asked.method != "GET");
    asked.map(|asked| asked.path).collect()
}

fn lines(asked: &Asked) -> Vec<Value> {
    let text = std::str::from_utf8(&asked.content).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_push_makes_the_repository_sends_large_files_and_commits() {
    let (hub, folder, cache) = (LocalHub::empty(), folder(), tempfile::tempdir().unwrap());
    let client = hub.client(cache.path());
    let options = PushOptions { private: true, message: "First".to_owned() };
    let told = RefCell::new(Vec::new());
    let read = Folder::read(folder.path()).unwrap();
    let progress = |done, total| told.borrow_mut().push((done, total));
    let pushed = client.push(&read, &name("owner/model"), &options, &progress).unwrap();

    assert_eq!(pushed.url, format!("{}/owner/model/commit/{COMMIT}", hub.endpoint));
    assert_eq!((pushed.commit.as_str(), pushed.files), (COMMIT, 3));
    assert_eq!(pushed.large_bytes, weights().len() as u64);
    assert_eq!(told.into_inner().last(), Some(&(pushed.large_bytes, pushed.large_bytes)));
    assert_eq!(
        posted(&hub),
        [
            "/api/repos/create",
            "/api/models/owner/model/preupload/main",
            "/owner/model.git/info/lfs/objects/batch",
            "/verify",
            "/api/models/owner/model/commit/main",
        ]
    );
    let asked = hub.asked();
    let created = asked.iter().find(|asked| asked.path == "/api/repos/create").unwrap().json();
    assert_eq!(
        created,
        json!({ "type": "model", "organization": "owner", "name": "model", "private": true })
    );
    let lines = lines(asked.last().unwrap());
    assert_eq!(lines[0]["value"], json!({ "summary": "First", "description": "" }));
    let names: Vec<_> =
        lines[1..].iter().map(|line| line["value"]["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["config.json", "onnx.txt", "model.safetensors"]);
    assert_eq!(
        lines[3],
        json!({ "key": "lfsFile", "value": {
            "path": "model.safetensors", "algo": "sha256",
            "oid": sha256(&weights()), "size": weights().len(),
        } })
    );
    // The token goes to the Hub, and not to where large files lie.
    let bearer = format!("Bearer {TOKEN}");
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some(&bearer)));
    let of_storage = hub.asked_of_storage();
    assert_eq!(of_storage.len(), 1);
    assert!(of_storage[0].headers.values().all(|value| !value.contains(TOKEN)));
    assert_eq!(of_storage[0].content, weights());

    // What was pushed comes back.
    let back = client.download(&name("owner/model"), MODEL, &|_, _| {}).unwrap();
    assert_eq!(fs::read(back.folder.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn what_the_hub_has_is_not_sent_again_and_a_branch_is_made() {
    let (hub, folder, cache) = (LocalHub::with(&[]), folder(), tempfile::tempdir().unwrap());
    hub.state().objects.insert(sha256(&weights()), weights());
    let branch = name("owner/model@a/b");
    let client = hub.client(cache.path());
    let pushed = push(&client, folder.path(), &branch, &PushOptions::default()).unwrap();
    assert_eq!((pushed.files, pushed.large_bytes), (3, 0));
    assert_eq!(hub.asked_of_storage().len(), 0);
    assert_eq!(
        posted(&hub),
        [
            "/api/models/owner/model/branch/a%2Fb",
            "/api/models/owner/model/preupload/a%2Fb",
            "/owner/model.git/info/lfs/objects/batch",
            "/api/models/owner/model/commit/a%2Fb",
        ]
    );
    let batch = hub.asked().iter().find(|asked| asked.path.ends_with("/batch")).unwrap().json();
    assert_eq!(batch["ref"]["name"], "a/b");
    // A branch that is there already is no error.
    hub.answer_instead(|asked| asked.path.contains("/branch/").then(|| Answer::of(409)));
    push(&client, folder.path(), &branch, &PushOptions::default()).unwrap();
}

#[test]
fn a_large_file_goes_in_parts_where_the_hub_wants_it_so() {
    let (hub, folder, cache) = (LocalHub::with(&[]), folder(), tempfile::tempdir().unwrap());
    hub.state().part_bytes = Some(250_000);
    let client = hub.client(cache.path());
    let told = RefCell::new(Vec::new());
    let read = Folder::read(folder.path()).unwrap();
    let progress = |done, total| told.borrow_mut().push((done, total));
    client.push(&read, &name("owner/model"), &PushOptions::default(), &progress).unwrap();
    let sizes: Vec<_> = hub.asked_of_storage().iter().map(|asked| asked.content.len()).collect();
    assert_eq!(sizes[..3], [250_000, 250_000, 100_000]);
    assert_eq!(hub.state().objects[&sha256(&weights())], weights());
    assert_eq!(
        told.into_inner()[..3],
        [(250_000, 600_000), (500_000, 600_000), (600_000, 600_000)]
    );

    // Parts that do not add up to the file.
    let hub = LocalHub::with(&[]);
    hub.answer_instead(|asked| {
        asked.path.ends_with("/batch").then(|| {
            let oid = &asked.json()["objects"][0]["oid"];
            let upload = json!({ "href": "http://127.0.0.1:1", "header": { "chunk_size": 7, "1": "http://127.0.0.1:1" } });
            Answer::json(&json!({ "objects": [{ "oid": oid, "actions": { "upload": upload } }] }))
        })
    });
    let error = push(
        &hub.client(cache.path()),
        folder.path(),
        &name("owner/model"),
        &PushOptions::default(),
    );
    let error = error.unwrap_err();
    assert!(matches!(error, HubError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("does not say into which"), "{error}");
}

#[test]
fn a_broken_upload_is_sent_again_and_a_refused_one_is_not() {
    let (hub, folder, cache) = (LocalHub::with(&[]), folder(), tempfile::tempdir().unwrap());
    let mut left = 2;
    hub.storage_answers_instead(move |_| {
        left -= 1;
        (left >= 0).then(|| Answer::of(500))
    });
    let client = hub.client(cache.path());
    push(&client, folder.path(), &name("owner/model"), &PushOptions::default()).unwrap();
    let sent: Vec<_> = hub.asked_of_storage().iter().map(|asked| asked.content.len()).collect();
    assert_eq!(sent, [600_000; 3]);

    let hub = LocalHub::with(&[]);
    hub.storage_answers_instead(|_| Some(Answer::of(403)));
    let error = push(
        &hub.client(cache.path()),
        folder.path(),
        &name("owner/model"),
        &PushOptions::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("answers `403` to `model.safetensors`"), "{error}");
    assert_eq!(hub.asked_of_storage().len(), 1);

    // A commit is made once: nobody knows what became of it.
    let hub = LocalHub::with(&[]);
    hub.answer_instead(|asked| asked.path.contains("/commit/").then(|| Answer::of(504)));
    let error = push(
        &hub.client(cache.path()),
        folder.path(),
        &name("owner/model"),
        &PushOptions::default(),
    );
    assert!(matches!(error.unwrap_err(), HubError::Unreachable(_)));
    assert_eq!(posted(&hub).iter().filter(|path| path.contains("/commit/")).count(), 1);
}

#[test]
fn a_push_that_cannot_be_says_why_before_anything_is_sent() {
    let (hub, folder, cache) = (LocalHub::with(&[]), folder(), tempfile::tempdir().unwrap());
    let settings = || hub.settings(cache.path());
    let model = name("owner/model");
    let commit = name(&format!("owner/model@{COMMIT}"));
    for (settings, model, part) in [
        (Settings { token: None, ..settings() }, &model, "a push needs an access token"),
        (Settings { offline: true, ..settings() }, &model, "`HF_HUB_OFFLINE` is set"),
        (settings(), &commit, "push to a branch"),
    ] {
        let error =
            push(&Hub::new(settings).unwrap(), folder.path(), model, &PushOptions::default());
        let error = error.unwrap_err();
        assert!(matches!(error, HubError::Usage(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(hub.asked().is_empty());
    // A token that may read and not write.
    hub.answer_instead(|asked| (asked.method == "POST").then(|| Answer::of(403)));
    let error = push(&hub.client(cache.path()), folder.path(), &model, &PushOptions::default());
    assert!(error.unwrap_err().to_string().contains("or write to it for a push"));
}
