//! The program built with the feature `hub`: names of models where folders are read, a push, the same offline.
//!
//! `NYSTROMFORMER` names it, as `.ci/run hub` does; without it there is nothing to test here.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::local_hub::{COMMIT, LocalHub, TOKEN};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command did.
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The program with a Hub and a folder for its cache, as its user set it up.
struct Program<'a> {
    path: PathBuf,
    folder: &'a Path,
    endpoint: String,
}

impl Program<'_> {
    fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(root()).env("HF_HOME", self.folder.join("hf"));
        command.env("HF_ENDPOINT", &self.endpoint).env("HF_TOKEN", TOKEN);
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        for variable in
            ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        {
            command.env_remove(variable);
        }
        // Whatever is logged, the token is not.
        command.env("RUST_LOG", "trace");
        let output = command.output().unwrap();
        let finished = Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!finished.stderr.contains(TOKEN) && !finished.stdout.contains(TOKEN));
        finished
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {}", finished.stderr);
        finished.stdout
    }

    fn is_refused(&self, code: i32, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(code), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.stdout, "");
        let error = finished.stderr.lines().find(|line| line.starts_with("error: "));
        error.unwrap_or_else(|| panic!("{}", finished.stderr)).to_owned()
    }
}

/// The files of a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

#[test]
fn a_model_is_read_from_the_hub_pushed_and_trained_on() {
    let Some(path) = env::var_os("NYSTROMFORMER") else {
        println!("skipped: `NYSTROMFORMER` names no program built with the feature `hub`");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    let bert = files(&root().join("crates/interop/tests/fixtures/bert"));
    let bert: Vec<(&str, &[u8])> =
        bert.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let theirs = LocalHub::with(&bert);
    let mut program =
        Program { path: path.into(), folder: folder.path(), endpoint: theirs.endpoint.clone() };

    // Another's weights become a folder of ours.
    let imported = text("imported");
    program.succeeds(&[
        "import",
        "--from",
        "hub:owner/model",
        "--output",
        &imported,
        "--set",
        "max_position_embeddings=64",
    ]);
    let downloaded =
        program.succeeds(&["hub", "download", "owner/model", "--output", &text("as_it_is")]);
    let downloaded: Value = serde_json::from_str(&downloaded).unwrap();
    assert_eq!(
        (&downloaded["commit"], &downloaded["downloaded_bytes"]),
        (&COMMIT.into(), &0.into())
    );
    assert!(folder.path().join("as_it_is/vocab.txt").is_file());
    assert!(!folder.path().join("as_it_is/expected.safetensors").exists());

    // Which goes to a Hub of ours.
    let ours = LocalHub::empty();
    program.endpoint.clone_from(&ours.endpoint);
    let listed = program.succeeds(&["hub", "push", &imported, "me/mine", "--dry-run"]);
    assert!(
        listed.contains("\"path\":\"model.safetensors\"") && ours.asked().is_empty(),
        "{listed}"
    );
    let pushed =
        program.succeeds(&["hub", "push", &imported, "owner/model", "--message", "Imported"]);
    let pushed: Value = serde_json::from_str(&pushed).unwrap();
    assert_eq!(pushed["url"], format!("{}/owner/model/commit/{COMMIT}", ours.endpoint));
    let error = program.is_refused(2, &["hub", "push", &text(""), "owner/model"]);
    assert!(error.contains("has no `config.json`"), "{error}");

    // And is read from there, in a cache that does not have it.
    fs::remove_dir_all(folder.path().join("hf")).unwrap();
    let model = "hub:owner/model";
    let words = "the cat sat on the mat";
    program.succeeds(&["predict", "features", "--model", model, "--pooling", "mean", words]);
    fs::write(folder.path().join("text.txt"), format!("{words}\n").repeat(40)).unwrap();
    let run = text("run");
    let settings = [
        format!("model.init_from={model}"),
        format!("tokenizer.path={model}"),
        format!("data.corpus={}", text("text.txt")),
        format!("data.cache_dir={}", text("tokens")),
        "data.document=line".to_owned(),
        "data.validation_fraction=0.2".to_owned(),
        "data.seq_len=16".to_owned(),
        "trainer.max_steps=2".to_owned(),
        "trainer.batch_size=2".to_owned(),
        "trainer.micro_batch_size=2".to_owned(),
    ];
    let mut train = vec!["train", "configs/mlm_from.toml", "--run-dir", &run];
    train.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
    program.succeeds(&train);
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(
        config.contains(&format!("snapshots/{COMMIT}")) && !config.contains("hub:"),
        "{config}"
    );

    // A run goes on without asking which commit `main` is now; other commands take what is in the cache.
    let asked = ours.asked().len();
    train.push("--resume");
    program.succeeds(&train);
    assert_eq!(ours.asked().len(), asked);
    drop(ours);
    program.endpoint = "http://127.0.0.1:1".to_owned();
    program.succeeds(&["predict", "features", "--model", model, "--pooling", "mean", words]);
    let error = program.is_refused(7, &["evaluate", "--model", "hub:owner/other"]);
    assert!(error.contains("`hub:owner/other`: cannot reach `127.0.0.1`"), "{error}");
    let error = program.is_refused(2, &["evaluate", "--model", "hub:a/b/c"]);
    assert!(error.contains("`a/b/c` is no name on the Hub"), "{error}");
    program.endpoint.clone_from(&theirs.endpoint);
    let error = program.is_refused(4, &["evaluate", "--model", "hub:owner/other"]);
    assert!(error.contains("there is no such model"), "{error}");
}
