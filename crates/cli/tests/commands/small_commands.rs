//! `bench`, `completions`, `man`, `--help`, and readers that go away.

use std::{fs, process::Stdio};

use crate::fixture::{Fixture, NYSTROMFORMER, STEPS, at_root, checkpoint, command, finish, keys};

/// Of one process: nothing to send.
#[test]
fn bench_scale_prints_one_line_with_the_promised_keys() {
    let mut bench = command("bench");
    bench.args(["scale", "--parameters", "1000", "--steps", "1", "--wire", "bf16"]);
    let line = finish(bench).succeeded().json();
    for (key, value) in [("ranks", 1), ("gradient_bytes", 4000), ("bytes_sent", 0), ("messages", 0)]
    {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["wire"], "bf16");
    assert!(line["sum_s"].is_number() && line["latency_s"].is_number(), "{line}");
}

#[test]
fn bench_attention_prints_one_line_with_the_promised_keys() {
    for kind in ["nystrom", "softmax", "linformer"] {
        let mut bench = command("bench");
        bench.args([
            "attention",
            "--kind",
            kind,
            "--seq-len",
            "64",
            "--heads",
            "2",
            "--head-dim",
            "8",
        ]);
        bench.args(["--landmarks", "8", "--steps", "2", "--backward"]);
        let line = finish(bench).succeeded().json();
        for key in ["seconds_median", "seconds_min", "peak_rss_mib"] {
            assert!(line[key].as_f64().unwrap() > 0.0, "{key}: {line}");
        }
        assert!(line["seconds_min"].as_f64() <= line["seconds_median"].as_f64(), "{line}");
        assert_eq!((&line["kind"], &line["seq_len"]), (&kind.into(), &64.into()));
    }
    let mut bench = command("bench");
    bench.args(["attention", "--kind", "nystrom", "--seq-len", "0"]);
    assert!(finish(bench).refused(2).contains("--seq-len is `0`"));
    for (further, part) in [
        (["--kind", "none"], "give `--set conv_kernel_size=65`"),
        (["--kind=linformer", "--set=linformer_seq_len=8"], "linformer_seq_len"),
        (
            ["--kind=softmax", "--set=num_landmarks=8"],
            "`num_landmarks` is no key of attention `softmax`",
        ),
    ] {
        let mut bench = command("bench");
        bench
            .args(["attention", "--seq-len", "16", "--heads", "2", "--head-dim", "4"])
            .args(further);
        let told = finish(bench).refused(2);
        assert!(told.contains(part), "{told}");
    }
}

/// With a GPU: `tests/oracle` of the model counts.
#[test]
fn bench_launches_says_what_to_build_where_there_is_no_gpu() {
    for (device, built) in [("flex", "--features wgpu"), ("cuda", "--features cuda")] {
        let mut bench = command("bench");
        bench.args(["launches", "--workload", "mlm-small-512", "--device", device]);
        let told = finish(bench).refused(2);
        assert!(told.contains(&format!("device `{device}`")) && told.contains(built), "{told}");
    }
}

#[test]
fn bench_step_prints_the_keys_of_the_pytorch_peer() {
    let mut bench = command("bench");
    bench.args(["step", "--workload", "infer-base-512", "--steps", "1", "--warmup", "0"]);
    let line = finish(bench).succeeded().json();
    assert_eq!(
        keys(&line),
        [
            "batch",
            "dtype",
            "loss",
            "peak_rss_mib",
            "peer",
            "seq_len",
            "step_s_median",
            "step_s_min",
            "threads",
            "tokens_per_s",
            "workload",
        ]
    );
    assert_eq!((&line["batch"], &line["seq_len"]), (&1.into(), &512.into()));
    let mut bench = command("bench");
    bench.args(["step", "--workload", "mlm-base"]);
    let refusal = finish(bench);
    assert_eq!(refusal.code, Some(2));
    assert!(refusal.stderr.contains("mlm-base-512"), "{}", refusal.stderr);
}

#[test]
fn bench_step_counts_no_padding() {
    for semantics in ["paper", "hf"] {
        let mut bench = command("bench");
        bench.args(["step", "--workload", "imdb-512-padded", "--steps", "1", "--warmup", "0"]);
        bench.args(["--semantics", semantics]);
        let line = finish(bench).succeeded().json();
        assert_eq!((&line["batch"], &line["seq_len"]), (&16.into(), &512.into()));
        let number = |key: &str| line[key].as_f64().unwrap();
        let tokens = number("tokens_per_s") * number("step_s_median");
        assert!((tokens / 4506.0 - 1.0).abs() < 0.01, "{line}");
        assert!(number("loss").is_finite(), "{line}");
    }
}

/// The commands, as `nystromformer --help` lists them.
fn subcommands() -> Vec<String> {
    let mut help = at_root(NYSTROMFORMER);
    help.arg("--help");
    let help = finish(help).succeeded().stdout;
    let (_, list) = help.split_once("\nCommands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn completions_register_the_program_and_cover_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut completions = command("completions");
        completions.arg(shell);
        let script = finish(completions).succeeded().stdout;
        for part in subcommands().iter().map(String::as_str).chain(["fill-mask", "run-dir"]) {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
    // `export`, `import` and `compare` are the shell's and ImageMagick's.
    let mut completions = command("completions");
    completions.arg("bash");
    let script = finish(completions).succeeded().stdout;
    let registrations = script.lines().map(str::trim).filter(|line| line.starts_with("complete "));
    let registered: Vec<_> = registrations.filter_map(|line| line.split(' ').next_back()).collect();
    assert!(!registered.is_empty());
    assert!(registered.iter().all(|name| *name == "nystromformer"), "{registered:?}");
}

#[test]
fn man_writes_a_page_for_the_program_and_for_every_command() {
    let fixture = Fixture::new();
    let mut man = command("man");
    man.args(["--output", &fixture.text("pages/man1")]);
    finish(man).succeeded();
    let pages = fixture.listing("pages/man1");
    let expected = subcommands().into_iter().map(|name| format!("nystromformer-{name}.1"));
    for page in expected.chain(["nystromformer.1".to_owned()]) {
        assert!(pages.contains(&page), "{page}: {pages:?}");
        assert!(
            fs::read_to_string(fixture.path("pages/man1").join(page)).unwrap().contains(".TH ")
        );
    }
    let mut man = command("man");
    man.args(["--output", &fixture.text("corpus.txt")]);
    assert!(finish(man).refused(7).contains("corpus.txt`"));
}

#[test]
fn every_command_explains_itself_and_refuses_unknown_flags_with_two() {
    let subcommands = subcommands();
    for name in ["train", "evaluate", "predict", "export", "import", "prepare", "compare"] {
        assert!(subcommands.iter().any(|subcommand| subcommand == name), "{subcommands:?}");
    }
    let train = || at_root(env!("CARGO_BIN_EXE_train"));
    let commands = subcommands.iter().map(|name| command(name)).chain([train()]);
    let unknown = subcommands.iter().map(|name| command(name)).chain([train()]);
    for (mut help, mut unknown) in commands.zip(unknown) {
        help.arg("--help");
        let help = finish(help).succeeded();
        assert!(help.stdout.contains("Usage: ") && help.stderr.is_empty(), "{}", help.stdout);
        unknown.arg("--no-such-flag");
        let unknown = finish(unknown);
        assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
        assert!(unknown.stderr.contains("--no-such-flag"), "{}", unknown.stderr);
    }
    let nothing = finish(at_root(NYSTROMFORMER));
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));
    assert!(nothing.stderr.contains("Usage: nystromformer"), "{}", nothing.stderr);
}

#[test]
fn train_by_itself_is_the_command_train() {
    let fixture = Fixture::new();
    let mut train = at_root(env!("CARGO_BIN_EXE_train"));
    train.args(["configs/tiny/mlm.toml", "--dry-run"]).args(fixture.settings());
    let by_itself = finish(train).succeeded().json();
    let command = fixture.on_tiny("train", &["configs/tiny/mlm.toml", "--dry-run"], &[]);
    assert_eq!(by_itself["parameters"], finish(command).succeeded().json()["parameters"]);
}

#[test]
fn readers_that_go_away_are_no_error_and_do_not_end_a_run() {
    let fixture = Fixture::new();
    // Warnings and notes go to stderr as well as progress: a damaged checkpoint makes some.
    let mut train = fixture.train("run", &["trainer.log_every=1"]);
    let mut child = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let run = fixture.path("run");
    fs::write(checkpoint(&run, STEPS).join("config.json"), "").unwrap();
    let mut resume = fixture.resume("run", &["trainer.log_every=1"]);
    let mut child = resume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(checkpoint(&run, STEPS).join("config.json").metadata().unwrap().len() > 0);

    for arguments in [["bash"].as_slice(), &["--help"]] {
        let mut child =
            command("completions").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_exit_with_seven() {
    let fixture = Fixture::new();
    let mut prepare = fixture.on_tiny("prepare", &["configs/tiny/mlm.toml"], &[]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(prepare.stdout(full).output().unwrap().status.code(), Some(7));
}
