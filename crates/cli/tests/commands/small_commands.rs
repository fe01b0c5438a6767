//! `bench`, `completions`, `--help`, and readers that go away.

use std::{fs, process::Stdio};

use crate::workshop::{
    BENCH, COMPLETIONS, EVALUATE, EXPORT, IMPORT, PREDICT, PREPARE, STEPS, TRAIN, Workshop,
    checkpoint, command, finish, keys,
};

#[test]
fn bench_attention_prints_one_line_with_the_promised_keys() {
    for kind in ["nystrom", "softmax"] {
        let mut bench = command(BENCH);
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
    let mut bench = command(BENCH);
    bench.args(["attention", "--kind", "nystrom", "--seq-len", "0"]);
    assert!(finish(bench).refused(2).contains("--seq-len is `0`"));
}

#[test]
fn bench_step_prints_the_keys_of_the_pytorch_peer() {
    let mut bench = command(BENCH);
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
    let mut bench = command(BENCH);
    bench.args(["step", "--workload", "mlm-base"]);
    let refusal = finish(bench);
    assert_eq!(refusal.code, Some(2));
    assert!(refusal.stderr.contains("mlm-base-512"), "{}", refusal.stderr);
}

#[test]
fn completions_cover_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let mut completions = command(COMPLETIONS);
        completions.arg(shell);
        let script = finish(completions).succeeded().stdout;
        for part in ["train", "fill-mask", "prepare", "export", "import", "attention", "run-dir"] {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
}

#[test]
fn every_command_explains_itself_and_refuses_unknown_flags_with_two() {
    for binary in [TRAIN, EVALUATE, PREDICT, PREPARE, EXPORT, IMPORT, BENCH, COMPLETIONS] {
        let mut help = command(binary);
        help.arg("--help");
        let help = finish(help).succeeded();
        assert!(help.stdout.contains("Usage: ") && help.stderr.is_empty(), "{}", help.stdout);
        let mut unknown = command(binary);
        unknown.arg("--no-such-flag");
        let unknown = finish(unknown);
        assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
        assert!(unknown.stderr.contains("--no-such-flag"), "{}", unknown.stderr);
    }
}

#[test]
fn readers_that_go_away_are_no_error_and_do_not_end_a_run() {
    let workshop = Workshop::new();
    // Warnings and notes go to stderr as well as progress: a damaged checkpoint makes some.
    let mut train = workshop.train("run", &["trainer.log_every=1"]);
    let mut child = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let run = workshop.path("run");
    fs::write(checkpoint(&run, STEPS).join("config.json"), "").unwrap();
    let mut resume = workshop.resume("run", &["trainer.log_every=1"]);
    let mut child = resume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(checkpoint(&run, STEPS).join("config.json").metadata().unwrap().len() > 0);

    for arguments in [["bash"].as_slice(), &["--help"]] {
        let mut child =
            command(COMPLETIONS).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_exit_with_seven() {
    let workshop = Workshop::new();
    let mut prepare = workshop.on_tiny(PREPARE, &["configs/tiny/mlm.toml"], &[]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(prepare.stdout(full).output().unwrap().status.code(), Some(7));
}
