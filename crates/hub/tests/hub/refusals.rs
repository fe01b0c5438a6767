//! What the Hub refuses, what comes damaged, and what no redirect gets.

use std::fs;

use nystromformer_hub::{Hub, HubError, Settings};
use serde_json::json;

use crate::{
    downloads::{MODEL, download, in_cache, model, name, weights},
    local_hub::{Answer, COMMIT, LocalHub, TOKEN, sha256},
};

/// The error of a download whose first request is answered so, with a token or without.
fn refused(answer: &Answer, with_token: bool) -> HubError {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let answer = answer.clone();
    hub.answer_instead(move |_| Some(answer.clone()));
    let mut settings = hub.settings(cache.path());
    if !with_token {
        settings.token = None;
    }
    let error = download(&Hub::new(settings).unwrap()).unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
    let has_one = hub.asked().iter().all(|asked| asked.header("authorization").is_some());
    assert_eq!(has_one, with_token);
    error
}

#[test]
fn what_is_not_there_or_not_allowed_says_what_to_do() {
    let gated = |status| Answer::of(status).with("x-error-code", "GatedRepo");
    for (answer, with_token, parts) in [
        (Answer::of(401), false, &["or it is private", "`HF_TOKEN`"][..]),
        (Answer::of(404), false, &["or it is private", "`HF_TOKEN`"]),
        (Answer::of(401), true, &["is not accepted", "/settings/tokens"]),
        (Answer::of(404), true, &["there is no such model", "may not see it"]),
        (Answer::of(403), true, &["does not allow it"]),
        (gated(401), false, &["/owner/model, and set `HF_TOKEN`", "terms are accepted"]),
        (gated(403), true, &["/owner/model, with the account", "terms are accepted"]),
        (Answer::of(418), true, &["answers `418`"]),
        (Answer::of(302), true, &["answers `302`"]),
    ] {
        let error = refused(&answer, with_token);
        assert!(matches!(error, HubError::Refused(_)), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    // A server that repeats what it was sent, and more than a line.
    let message = format!("Bearer {TOKEN} is unknown{}", " and more".repeat(200));
    let error = refused(&Answer::of(403).with("x-error-message", message), true).to_string();
    assert!(error.contains("(`Bearer … is unknown and more") && error.len() < 700, "{error}");

    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let client = hub.client(cache.path());
    let error = client.download(&name("owner/model@v2"), MODEL, &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("no revision `v2`"), "{error}");
    assert!(!in_cache(cache.path()).exists());
}

#[test]
fn what_is_over_later_says_so() {
    let error = refused(&Answer::of(429).with("retry-after", "17"), false);
    assert!(matches!(error, HubError::Unreachable(_)), "{error}");
    for part in ["too many requests", "in 17 seconds", "`HF_TOKEN`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = refused(&Answer::of(429), true).to_string();
    assert!(error.contains("in some minutes") && !error.contains("`HF_TOKEN`"), "{error}");
    let error = refused(&Answer::of(503), true);
    assert!(matches!(error, HubError::Unreachable(_)), "{error}");
    assert!(
        error.to_string().contains("`127.0.0.1` answers with its error `503`, 5 times"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_what_was_announced_is_removed() {
    let mut other = weights();
    other[3] ^= 1;
    let longer = [weights(), vec![0]].concat();
    for (content, problem) in
        [(other, "its checksum is `"), (longer, "longer than it was announced")]
    {
        let (hub, cache) = (model(), tempfile::tempdir().unwrap());
        hub.storage_answers_instead(move |_| {
            Some(Answer { content: content.clone(), ..Answer::of(200) })
        });
        let error = download(&hub.client(cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Damaged(_)), "{error}");
        for part in ["`model.safetensors` came damaged and was removed", problem] {
            assert!(error.to_string().contains(part), "{error}");
        }
        let blobs = in_cache(cache.path()).join("blobs");
        assert!(fs::read_dir(&blobs).unwrap().all(|entry| {
            !entry.unwrap().file_name().to_string_lossy().starts_with(&sha256(&weights()))
        }));
        // It is no model of the cache either: nothing says which commit `main` is.
        assert!(!in_cache(cache.path()).join("refs/main").exists());
        hub.storage_answers_instead(|_| None);
        download(&hub.client(cache.path())).unwrap();
    }
    // Small files too.
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    hub.answer_instead(|asked| {
        let is_config = asked.method == "GET" && asked.path.ends_with("/config.json");
        is_config.then(|| Answer { content: b"[]".to_vec(), ..Answer::of(200) })
    });
    let error = download(&hub.client(cache.path())).unwrap_err().to_string();
    assert!(error.contains("`config.json` came damaged"), "{error}");
}

#[test]
fn a_server_without_checksums_is_checked_by_size() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    hub.answer_instead(|asked| {
        let is_config = asked.path.ends_with("/config.json");
        is_config
            .then(|| Answer { content: b"{}".to_vec(), ..Answer::of(200) }.with("etag", "\"v1\""))
    });
    let model = download(&hub.client(cache.path())).unwrap();
    assert_eq!(fs::read(model.folder.join("config.json")).unwrap(), b"{}");
    for tag in ["", "../../stolen"] {
        hub.answer_instead(move |asked| {
            let is_asked = asked.path.ends_with("/tokenizer.json");
            is_asked
                .then(|| Answer { content: b"{}".to_vec(), ..Answer::of(200) }.with("etag", tag))
        });
        let cache = tempfile::tempdir().unwrap();
        let error = download(&hub.client(cache.path())).unwrap_err();
        assert!(matches!(error, HubError::Damaged(_)), "{error}");
    }
}

#[test]
fn the_token_stays_with_the_hub() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    download(&hub.client(cache.path())).unwrap();
    let of_hub = hub.asked();
    let bearer = format!("Bearer {TOKEN}");
    assert!(of_hub.iter().all(|asked| asked.header("authorization") == Some(&bearer)));
    let of_storage = hub.asked_of_storage();
    assert!(!of_storage.is_empty());
    for asked in of_storage {
        assert!(asked.headers.values().all(|value| !value.contains(TOKEN)), "{asked:?}");
        assert!(!asked.path.contains(TOKEN));
    }

    // A repository that was renamed is followed on the same server, with the token.
    let cache = tempfile::tempdir().unwrap();
    hub.answer_instead(|asked| {
        let new = asked.path.replace("owner/old", "owner/model");
        (new != asked.path).then(|| Answer::of(307).with("location", new))
    });
    let client = hub.client(cache.path());
    client.download(&name("owner/old"), MODEL, &|_, _| {}).unwrap();
    assert!(hub.asked().iter().all(|asked| asked.header("authorization") == Some(&bearer)));

    // One that leads to the same name on another port gets nothing.
    let thief = LocalHub::empty();
    let stolen = thief.endpoint.clone();
    hub.answer_instead(move |asked| {
        Some(Answer::of(307).with("location", format!("{stolen}{}", asked.path)))
    });
    download(&client).unwrap_err();
    let asked = thief.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.header("authorization").is_none()));
}

#[test]
fn redirects_end() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    hub.answer_instead(|asked| Some(Answer::of(302).with("location", asked.path.clone())));
    let error = download(&hub.client(cache.path())).unwrap_err().to_string();
    assert!(error.contains("leads from address to address"), "{error}");
    assert_eq!(hub.asked().len(), 11);
}

#[test]
fn answers_of_something_else_are_told_from_those_of_a_hub() {
    let commit = |sha: &str| Answer::json(&json!({ "sha": sha, "siblings": [] }));
    let html = Answer { content: b"<html>".to_vec(), ..Answer::of(200) };
    for (answer, part) in [
        (html, "not one of a Hub"),
        (Answer::json(&json!([])), "not one of a Hub"),
        (commit("../../../stolen"), "is no commit"),
        (commit(COMMIT), "none of the files that are read (`model.safetensors`"),
        (Answer { breaks_after: Some(3), ..commit(COMMIT) }, "breaks off"),
    ] {
        let (hub, cache) = (model(), tempfile::tempdir().unwrap());
        hub.answer_instead(move |_| Some(answer.clone()));
        let error = download(&hub.client(cache.path())).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    let hub = LocalHub::with(&[("README.md", b""), ("data/train.csv", b"")]);
    let cache = tempfile::tempdir().unwrap();
    let error = download(&hub.client(cache.path())).unwrap_err();
    assert!(matches!(error, HubError::Refused(_)), "{error}");
    assert!(
        error.to_string().contains("among its `2` files: `README.md`, `data/train.csv`"),
        "{error}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (hub, folder) = (model(), tempfile::tempdir().unwrap());
    let cache = folder.path().join("file");
    fs::write(&cache, "").unwrap();
    let error = download(&Hub::new(Settings { cache, ..hub.settings(folder.path()) }).unwrap());
    let error = error.unwrap_err();
    assert!(matches!(error, HubError::Disk { .. }), "{error}");
    assert!(error.to_string().contains("cannot make the folder `"), "{error}");
}
