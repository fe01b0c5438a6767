//! What comes, where it lies, how it goes on after a break.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Barrier},
    thread,
};

use nystromformer_hub::{Hub, HubError, ModelName, Settings, Snapshot, Wanted};

use crate::local_hub::{Answer, COMMIT, LocalHub, TOKEN, sha256};

/// The files of a model that the tests read.
pub(crate) const MODEL: Wanted<'static> = Wanted {
    files: &["tokenizer.json", "vocab.txt", "config.json"],
    weights: &[
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ],
};

/// Weights, so large that they lie on the second server.
pub(crate) fn weights() -> Vec<u8> {
    (0..150_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A model with files that are read, and others.
pub(crate) fn model() -> LocalHub {
    LocalHub::with(&[
        (".gitattributes", b"*.bin filter=lfs"),
        ("README.md", b"# A model"),
        ("config.json", b"{}"),
        ("model.safetensors", &weights()),
        ("pytorch_model.bin", b"not read"),
        ("tokenizer.json", b"{\"version\": \"1.0\"}"),
    ])
}

pub(crate) fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

pub(crate) fn download(hub: &Hub) -> Result<Snapshot, HubError> {
    hub.download(&name("owner/model"), MODEL, &|_, _| {})
}

/// The folder that the cache has for the model.
pub(crate) fn in_cache(cache: &Path) -> PathBuf {
    cache.join("models--owner--model")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_files_that_are_read_come_into_the_layout_of_hugging_faces_cache() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let told = RefCell::new(Vec::new());
    let client = hub.client(cache.path());
    let progress = |done, total| told.borrow_mut().push((done, total));
    let model = client.download(&name("hub:owner/model"), MODEL, &progress).unwrap();

    let repository = in_cache(cache.path());
    assert_eq!(model.folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(model.commit, COMMIT);
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    let read = ["config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(names_in(&model.folder), read);
    assert_eq!(fs::read(model.folder.join("model.safetensors")).unwrap(), weights());
    let blob = repository.join("blobs").join(sha256(&weights()));
    assert_eq!(
        model.folder.join("model.safetensors").canonicalize().unwrap(),
        blob.canonicalize().unwrap()
    );
    // `printf '{}' | git hash-object --stdin`
    assert!(repository.join("blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b").is_file());
    assert_eq!(names_in(&repository.join("blobs")).len(), read.len());

    let told = told.into_inner();
    let total = model.downloaded;
    assert_eq!(total, weights().len() as u64 + 2 + 18);
    assert!(told.is_sorted() && told.iter().all(|(_, of)| *of == total), "{told:?}");
    assert_eq!(told.last(), Some(&(total, total)));
    // The configuration is last, so that where it is everything is.
    assert!(hub.asked().last().unwrap().path.ends_with("/config.json"));
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let client = hub.client(cache.path());
    let first = download(&client).unwrap();
    let asked = hub.asked().len();
    let second = download(&client).unwrap();
    assert_eq!((second.downloaded, &second.folder), (0, &first.folder));
    // The list alone: a commit stays what it is.
    assert_eq!(hub.asked().len(), asked + 1);

    // Of another revision with the same files everything is there by its checksum.
    let commit = client.download(&name(&format!("owner/model@{COMMIT}")), MODEL, &|_, _| {});
    assert_eq!(commit.unwrap().downloaded, 0);
    fs::remove_dir_all(&first.folder).unwrap();
    assert_eq!(download(&client).unwrap().downloaded, 0);
    assert_eq!(hub.asked_of_storage().len(), 1);
}

#[test]
fn a_tokenizer_comes_without_weights() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let tokenizer = hub
        .client(cache.path())
        .download(
            &name("owner/model@v1"),
            Wanted { weights: &[], files: &MODEL.files[..2] },
            &|_, _| {},
        )
        .unwrap();
    assert_eq!(names_in(&tokenizer.folder), ["tokenizer.json"]);
    assert_eq!(fs::read_to_string(in_cache(cache.path()).join("refs/v1")).unwrap(), COMMIT);
}

/// Its address has the slash as it is, as Hugging Face's own tools ask for it.
#[test]
fn a_file_in_a_folder_comes_into_that_folder() {
    let pooling = b"{\"pooling_mode_cls_token\": true}";
    let hub = LocalHub::with(&[
        ("1_Pooling/config.json", pooling),
        ("config.json", b"{}"),
        ("model.safetensors", b"few"),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let files = &["1_Pooling/config.json", "config.json"];
    let wanted = Wanted { files, ..MODEL };
    let client = hub.client(cache.path());
    let model = client.download(&name("owner/model"), wanted, &|_, _| {}).unwrap();
    assert_eq!(fs::read(model.folder.join("1_Pooling/config.json")).unwrap(), pooling);
}

#[test]
fn shards_come_with_their_index() {
    let index = br#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}"#;
    let hub = LocalHub::with(&[
        ("config.json", b"{}"),
        ("m-1.safetensors", b"1"),
        ("m-2.safetensors", b"2"),
        ("m-3.safetensors", b"3"),
        ("model.safetensors.index.json", index),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let model = download(&hub.client(cache.path())).unwrap();
    let files =
        ["config.json", "m-1.safetensors", "m-2.safetensors", "model.safetensors.index.json"];
    assert_eq!(names_in(&model.folder), files);
    assert_eq!(download(&hub.client(cache.path())).unwrap().downloaded, 0);

    let hub = LocalHub::with(&[
        ("config.json", b"{}"),
        ("pytorch_model.bin.index.json", br#"{"weight_map": {"a": "../../stolen"}}"#),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let error = download(&hub.client(cache.path())).unwrap_err().to_string();
    assert!(error.contains("`../../stolen`, which is not there"), "{error}");
}

#[test]
fn a_download_goes_on_where_the_connection_broke() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let mut left = 2;
    // Two breaks, the second in the rest that the first left.
    hub.storage_answers_instead(move |asked| {
        left -= 1;
        let from = match asked.header("range") {
            Some(range) => range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().unwrap(),
            None => 0,
        };
        let content = weights()[from..].to_vec();
        let status = if from > 0 { 206 } else { 200 };
        let range = format!("bytes {from}-{}/{}", weights().len() - 1, weights().len());
        (left >= 0).then(|| Answer {
            content,
            breaks_after: Some(100_000),
            ..Answer::of(status).with("content-range", range)
        })
    });
    let model = download(&hub.client(cache.path())).unwrap();
    assert_eq!(fs::read(model.folder.join("model.safetensors")).unwrap(), weights());
    let asked = hub.asked_of_storage();
    let ranges: Vec<_> = asked.iter().map(|asked| asked.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=200000-")]);
}

#[test]
fn a_download_that_never_gets_on_ends_and_is_gone_on_with_by_the_next() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    hub.storage_answers_instead(|_| {
        Some(Answer { content: weights(), breaks_after: Some(10), ..Answer::of(200) })
    });
    let error = download(&hub.client(cache.path())).unwrap_err();
    assert!(matches!(error, HubError::Unreachable(_)), "{error}");
    assert!(
        error.to_string().contains("`model.safetensors` breaks off again and again"),
        "{error}"
    );
    assert_eq!(hub.asked_of_storage().len(), 5);
    let part =
        in_cache(cache.path()).join("blobs").join(format!("{}.incomplete", sha256(&weights())));
    assert!(part.is_file());
    // A half that another process of Hugging Face's tools could have left.
    fs::write(&part, &weights()[..70_000]).unwrap();
    hub.storage_answers_instead(|_| None);
    download(&hub.client(cache.path())).unwrap();
    let asked = hub.asked_of_storage();
    assert_eq!(asked.last().unwrap().header("range"), Some("bytes=70000-"));
    assert!(!part.exists());
}

#[test]
fn a_server_without_ranges_sends_everything_again() {
    for status in [200, 206, 416] {
        let (hub, cache) = (model(), tempfile::tempdir().unwrap());
        let blobs = in_cache(cache.path()).join("blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("{}.incomplete", sha256(&weights()))), b"begun").unwrap();
        hub.storage_answers_instead(move |asked| {
            asked.header("range")?;
            // 206 from a byte that was not asked for.
            let answer = Answer::of(status).with("content-range", "bytes 1-9/600000");
            Some(Answer { content: if status == 416 { Vec::new() } else { weights() }, ..answer })
        });
        let model = download(&hub.client(cache.path())).unwrap();
        assert_eq!(fs::read(model.folder.join("model.safetensors")).unwrap(), weights());
    }
}

#[test]
fn without_the_hub_the_cache_answers() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let first = download(&hub.client(cache.path())).unwrap();
    let asked = hub.asked().len();
    let offline = Settings { offline: true, ..hub.settings(cache.path()) };
    assert_eq!(download(&Hub::new(offline.clone()).unwrap()).unwrap().folder, first.folder);
    assert_eq!(hub.asked().len(), asked);
    let other = Hub::new(offline).unwrap().download(&name("owner/other"), MODEL, &|_, _| {});
    let error = other.unwrap_err();
    assert!(matches!(error, HubError::Refused(_)), "{error}");
    assert!(error.to_string().contains("`HF_HUB_OFFLINE` is set"), "{error}");

    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gone = Hub::new(Settings { endpoint, ..hub.settings(cache.path()) }).unwrap();
    assert_eq!(download(&gone).unwrap().folder, first.folder);
    let error = gone.download(&name("owner/other"), MODEL, &|_, _| {}).unwrap_err();
    assert!(matches!(error, HubError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("cannot reach `127.0.0.1`"), "{error}");
}

#[test]
fn several_at_once_download_a_file_once() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let hub = Arc::new(hub);
    let begin = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (hub, begin, cache) =
                (Arc::clone(&hub), Arc::clone(&begin), cache.path().to_owned());
            thread::spawn(move || {
                let client = hub.client(&cache);
                begin.wait();
                download(&client).unwrap()
            })
        })
        .collect();
    for thread in threads {
        let model = thread.join().unwrap();
        assert_eq!(fs::read(model.folder.join("model.safetensors")).unwrap(), weights());
    }
    assert_eq!(hub.asked_of_storage().len(), 1);
}

#[test]
fn a_server_that_stumbles_is_asked_again() {
    let (hub, cache) = (model(), tempfile::tempdir().unwrap());
    let mut left = 3;
    hub.answer_instead(move |_| {
        left -= 1;
        (left >= 0).then(|| Answer::of(503))
    });
    download(&hub.client(cache.path())).unwrap();
    assert!(
        hub.asked()
            .iter()
            .all(|asked| asked.header("authorization") == Some(&format!("Bearer {TOKEN}")))
    );
}
