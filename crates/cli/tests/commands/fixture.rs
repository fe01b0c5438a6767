//! A temporary folder with a corpus, and the commands run on it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The program.
pub(crate) const NYSTROMFORMER: &str = env!("CARGO_BIN_EXE_nystromformer");

/// How long a test waits for something that a working program does within a second or two.
const PATIENCE: Duration = Duration::from_mins(2);

/// Steps of a fixture's run.
pub(crate) const STEPS: usize = 6;

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `nystromformer SUBCOMMAND`, see [`at_root`].
pub(crate) fn command(subcommand: &str) -> Command {
    let mut command = at_root(NYSTROMFORMER);
    command.arg(subcommand);
    command
}

/// A program that runs at the repository's root, deaf to what the caller's environment says about logging.
pub(crate) fn at_root(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository()).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null());
    command
}

/// A temporary folder with `corpus.txt` in it, a document a line.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("corpus.txt"), documents(60).join("\n")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The path as an argument.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// What makes the tiny configuration one of this fixture, as `--set` arguments.
    pub(crate) fn settings(&self) -> Vec<String> {
        [
            format!("data.corpus={}", self.text("corpus.txt")),
            "data.document=line".to_owned(),
            "data.validation_fraction=0.2".to_owned(),
            format!("data.cache_dir={}", self.text("cache")),
            "tokenizer.vocab_size=90".to_owned(),
            format!("trainer.max_steps={STEPS}"),
            "trainer.eval_every=3".to_owned(),
            "trainer.eval_examples=0".to_owned(),
            "trainer.checkpoint_every=2".to_owned(),
        ]
        .into_iter()
        .flat_map(|setting| ["--set".to_owned(), setting])
        .collect()
    }

    /// The tiny configuration in this fixture, with further `--set`s.
    pub(crate) fn on_tiny(
        &self,
        subcommand: &str,
        arguments: &[&str],
        further: &[&str],
    ) -> Command {
        let mut command = command(subcommand);
        command.args(arguments).args(self.settings());
        command.args(further.iter().flat_map(|setting| ["--set", setting]));
        command
    }

    /// `train` into the folder `run`.
    pub(crate) fn train(&self, run: &str, further: &[&str]) -> Command {
        let run = self.text(run);
        self.on_tiny("train", &["configs/tiny/mlm.toml", "--run-dir", &run], further)
    }

    /// `train --resume` in the folder `run`.
    pub(crate) fn resume(&self, run: &str, further: &[&str]) -> Command {
        let mut command = self.train(run, further);
        command.arg("--resume");
        command
    }

    /// A finished run.
    pub(crate) fn trained(&self, run: &str) -> PathBuf {
        finish(self.train(run, &[])).succeeded();
        self.path(run)
    }

    /// Starts a command whose stderr goes to the file `log`.
    pub(crate) fn start(&self, mut command: Command, log: &str) -> Child {
        let log = fs::File::create(self.path(log)).unwrap();
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Waits until the file `name` holds `text`.
    pub(crate) fn wait_for(&self, name: &str, text: &str) {
        wait_until(&format!("`{text}` in {name}"), || {
            fs::read_to_string(self.path(name)).is_ok_and(|content| content.contains(text))
        });
    }

    /// Everything that lies under the folder, sorted.
    pub(crate) fn listing(&self, name: &str) -> Vec<String> {
        fn collect(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(root).unwrap().display().to_string());
                if path.is_dir() {
                    collect(&path, root, found);
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.path(name), &self.path(name), &mut found);
        found.sort();
        found
    }
}

/// Short documents that are alike but not the same.
pub(crate) fn documents(count: usize) -> Vec<String> {
    let animals = ["cat", "dog", "cow", "hen", "fox", "owl", "pig"];
    (0..count)
        .map(|index| {
            let [first, second] = [animals[index % 7], animals[(index * 5 / 3 + 1) % 7]];
            format!("number {index}: the {first} sees the {second}, and the {second} hears the {first} all day.")
        })
        .collect()
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Finished {
    let output = command.output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command to its end, with `text` on stdin.
pub(crate) fn finish_with_stdin(mut command: Command, text: &[u8]) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Finished {
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Asserts the exit code of a refusal, in which nothing is printed on stdout, one message on stderr, and
    /// no word of the program's own trouble; returns the message.
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "", "a refusal prints no result");
        for word in ["panicked", "backtrace", "internal fault"] {
            assert!(!self.stderr.contains(word), "{}", self.stderr);
        }
        let mut messages =
            self.stderr.split_inclusive('\n').filter(|line| line.starts_with("error: "));
        let message = messages.next().unwrap_or_else(|| panic!("no message in {}", self.stderr));
        assert_eq!(messages.next(), None, "{}", self.stderr);
        message.trim_end().to_owned()
    }

    /// The one line of JSON on stdout.
    pub(crate) fn json(&self) -> Value {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        lines.into_iter().next().unwrap()
    }

    /// The lines of JSON on stdout.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The names of a JSON object's keys, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The lines of a run's `metrics.jsonl`.
pub(crate) fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of `metrics.jsonl` without what depends on the clock.
pub(crate) fn metrics_without_times(run: &Path) -> Vec<Value> {
    let mut lines = metrics(run);
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("tokens_per_second");
        line.remove("elapsed_s");
    }
    lines
}

pub(crate) fn checkpoint(run: &Path, step: usize) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}"))
}

/// Asserts that two runs came to the same bits at `step`, by the same losses.
pub(crate) fn assert_same_run(left: &Path, right: &Path, step: usize) {
    for name in ["model.safetensors", "optimizer.safetensors", "tokenizer.json", "config.json"] {
        let [left, right] =
            [left, right].map(|run| fs::read(checkpoint(run, step).join(name)).unwrap());
        assert!(left == right, "{name} differs");
    }
    assert_eq!(metrics_without_times(left), metrics_without_times(right));
}
