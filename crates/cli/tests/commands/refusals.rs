//! Wrong input: the exit code, one message, and what to do.

use std::fs;

use crate::fixture::{
    Fixture, NYSTROMFORMER, STEPS, at_root, checkpoint, command, finish, metrics,
};

fn assert_contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_misspelt_key_is_named_with_file_line_and_nearest_key() {
    let fixture = Fixture::new();
    let config = fixture.text("misspelt.toml");
    fs::write(&config, "seed = 1\n\n[trainer]\nmax_step = 5\n").unwrap();
    let mut train = command("train");
    train.args([&config, "--run-dir", &fixture.text("run")]);
    let message = finish(train).refused(2);
    assert_contains(
        &message,
        &["misspelt.toml:4: ", "`trainer.max_step` = `5`", "`trainer.max_steps`"],
    );
    assert!(!fixture.path("run").exists());
}

/// As `mpirun -n 2` starts it. By itself it is no rank at all.
#[cfg(not(feature = "mpi"))]
#[test]
fn one_of_several_processes_is_refused_by_a_program_without_mpi() {
    let fixture = Fixture::new();
    let mut train = fixture.train("run", &[]);
    train.env("OMPI_COMM_WORLD_SIZE", "2").env("OMPI_COMM_WORLD_RANK", "0");
    let message = finish(train).refused(2);
    assert_contains(&message, &["one of `2` processes", "`--features mpi`"]);
    assert!(!fixture.path("run").exists());
    let mut train = fixture.train("run", &["ranks.timeout_seconds=0"]);
    train.env("OMPI_COMM_WORLD_SIZE", "1");
    assert_contains(&finish(train).refused(2), &["`ranks.timeout_seconds`", "`0`"]);
}

#[test]
fn wrong_values_of_the_configuration_exit_with_two() {
    let fixture = Fixture::new();
    for (setting, parts) in [
        ("trainer.batch_size=0", &["--set: `trainer.batch_size`", "`0`"][..]),
        ("optimizer.learning_rate=-1", &["`optimizer.learning_rate`", "`-1`"]),
        ("schedule.kind=linaer", &["`linaer`", "`linear`"]),
        (
            "model.num_attention_heads=5",
            &["`model.hidden_size`: `32`: must be", "num_attention_heads = 5"],
        ),
        ("data.seq_len=4000", &["`data.seq_len`", "4000"]),
        ("data.mlm_probability=2", &["--set: `data.mlm_probability`: `2`: must be"]),
        ("device=gpu", &["`device`", "`gpu`"]),
        ("trainer.max_steps", &["`--set trainer.max_steps`", "section.key=value"]),
    ] {
        let message = finish(fixture.train("run", &[setting])).refused(2);
        assert_contains(&message, parts);
    }
    assert!(!fixture.path("run/config.toml").exists());
    let mut train = command("train");
    train.arg(fixture.text("nowhere.toml"));
    assert_contains(&finish(train).refused(2), &["nowhere.toml", "No such file"]);
}

/// What transformers has no model of, what has no attention matrix, and what has no graph.
#[test]
fn kinds_of_attention_are_refused_by_name_where_they_cannot_be() {
    let fixture = Fixture::new();
    let settings = ["model.attention=performer", "model.semantics=hf"];
    let message = finish(fixture.train("run", &settings)).refused(2);
    assert_contains(&message, &["`model.attention`: `performer`: semantics = \"hf\""]);
    let settings = ["model.attention=linformer", "model.linformer_seq_len=8", "data.seq_len=8"];
    let message = finish(fixture.train("run", &settings)).refused(2);
    assert_contains(&message, &["`model.linformer_seq_len`: `8`: must be at least"]);

    finish(fixture.train("run", &["model.attention=none"])).succeeded();
    let mut predict = command("predict");
    predict.args(["attention", "--model", &fixture.text("run"), "the cat sees"]);
    let message = finish(predict).refused(2);
    assert_contains(&message, &["attention = `none` has no attention matrix"]);
    for format in ["hf", "onnx"] {
        let mut export = command("export");
        export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
        export.args(["--format", format]);
        assert_contains(&finish(export).refused(4), &["attention = `none`"]);
    }
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    export.args(["--format", "original"]);
    assert_contains(&finish(export).refused(2), &["attention = `none`"]);
}

#[test]
fn unusable_text_exits_with_three_and_names_its_place() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("empty")).unwrap();
    fs::write(fixture.path("blank.txt"), "\n \n").unwrap();
    fs::write(fixture.path("one.txt"), "one document only").unwrap();
    fs::write(fixture.path("bad.jsonl"), "{\"text\": \"fine\"}\n{\"text\": oops}\n").unwrap();
    fs::write(fixture.path("other.jsonl"), "{\"body\": \"fine\"}\n").unwrap();
    fs::write(fixture.path("latin.txt"), b"fine\ncaf\xe9\n").unwrap();
    fs::write(fixture.path("fake.parquet"), "this is not Parquet").unwrap();
    fs::write(fixture.path("book.pdf"), "%PDF").unwrap();
    for (corpus, parts) in [
        ("nowhere", &["nowhere`", "no such file", "\"sample\""][..]),
        ("empty", &["empty`", ".txt, .jsonl or .parquet"]),
        ("blank.txt", &["blank.txt`", "no words in it"]),
        ("one.txt", &["only one document"]),
        ("bad.jsonl", &["bad.jsonl:2: "]),
        ("other.jsonl", &["other.jsonl:1: ", "`body`"]),
        ("latin.txt", &["latin.txt:2: ", "UTF-8"]),
        ("fake.parquet", &["fake.parquet"]),
        ("book.pdf", &["unknown extension"]),
    ] {
        let setting = format!("data.corpus={}", fixture.text(corpus));
        let message = finish(fixture.train("run", &[&setting])).refused(3);
        assert_contains(&message, parts);
    }
    let message = finish(fixture.train("run", &["tokenizer.path=nowhere/vocab.txt"])).refused(3);
    assert_contains(&message, &["nowhere/vocab.txt"]);
    // None of these began a run.
    finish(fixture.train("run", &[])).succeeded();
}

#[test]
fn all_that_is_wrong_with_a_configuration_is_told_at_once() {
    let fixture = Fixture::new();
    let wrong =
        ["model.num_landmarks=0", "model.hidden_dropout_prob=2", "data.seq_len=3", "data.corpus="];
    let message = finish(fixture.train("run", &wrong));
    assert_eq!(message.code, Some(2));
    assert_contains(
        &message.stderr,
        &[
            "`4` problems",
            "`model.num_landmarks`: `0`",
            "`model.hidden_dropout_prob`: `2`",
            "`data.seq_len`: `3`",
            "`data.corpus`: ``",
        ],
    );
}

#[test]
fn a_reason_is_told_once() {
    let fixture = Fixture::new();
    fs::write(fixture.path("file"), "").unwrap();
    let message = finish(fixture.train("file", &[])).refused(7);
    assert_eq!(message.matches("(os error").count(), 1, "{message}");
}

#[test]
fn unusable_models_exit_with_four() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let predict = |model: &str| {
        let mut predict = command("predict");
        predict.args(["fill-mask", "--model", &fixture.text(model), "the [MASK] sees"]);
        finish(predict)
    };
    assert_contains(&predict("nowhere").refused(4), &["nowhere"]);

    // In a folder without a manifest the weights speak for themselves.
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    finish(export).succeeded();
    let weights = fs::read(fixture.path("exported/model.safetensors")).unwrap();
    for length in [0, 7, 100, weights.len() / 2, weights.len() - 1] {
        fs::write(fixture.path("exported/model.safetensors"), &weights[..length]).unwrap();
        assert_contains(
            &predict("exported").refused(4),
            &["exported/model.safetensors", "damaged"],
        );
    }
    fs::write(fixture.path("exported/model.safetensors"), &weights).unwrap();
    fs::write(fixture.path("exported/tokenizer.json"), "{").unwrap();
    assert_contains(&predict("exported").refused(4), &["exported", "tokenizer"]);

    // A flipped bit that leaves the file well-formed is known by its hash.
    let newest = checkpoint(&run, STEPS).join("model.safetensors");
    let mut flipped = fs::read(&newest).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&newest, flipped).unwrap();
    let message = predict(&format!("run/checkpoints/step-{STEPS:08}")).refused(4);
    assert_contains(&message, &["step-00000006", "model.safetensors"]);

    // A run has others, older ones, and says so.
    let older = predict("run").succeeded();
    assert_contains(&older.stderr, &["step-00000006", "model.safetensors"]);
    for step in [3, 4] {
        fs::write(checkpoint(&run, step).join("manifest.json"), "{}").unwrap();
    }
    assert_contains(&predict("run").refused(4), &["step-00000006"]);
    assert_contains(&finish(fixture.resume("run", &[])).refused(4), &["step-00000006"]);
}

#[test]
fn a_name_on_the_hub_and_a_file_of_weights_are_no_models_and_the_message_says_what_is() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let file = checkpoint(&run, STEPS).join("model.safetensors").display().to_string();
    let folder = checkpoint(&run, STEPS).display().to_string();
    let output = fixture.text("output");
    let config = fixture.text("run/config.toml");
    for (model, parts) in [
        ("uw-madison/nystromformer-512", &["`hf download uw-madison/nystromformer-512 "][..]),
        (&file, &["it is a file", &folder]),
    ] {
        for arguments in [
            &["evaluate", "--model", model, "--config", &config][..],
            &["predict", "fill-mask", "--model", model, "a [MASK]"],
            &["predict", "classify", "--model", model, "a"],
            &["export", "--model", model, "--output", &output],
        ] {
            let mut refused = command(arguments[0]);
            refused.args(&arguments[1..]);
            assert_contains(&finish(refused).refused(4), parts);
        }
        let setting = format!("model.init_from={model}");
        assert_contains(&finish(fixture.train("from", &[&setting])).refused(4), parts);
    }
}

#[cfg(not(feature = "hub"))]
#[test]
fn names_on_the_hub_need_the_feature_wherever_a_model_is_read() {
    let fixture = Fixture::new();
    let [output, run, zip] = ["output", "conversion", "glue.zip"].map(|name| fixture.text(name));
    let model = "hub:owner/name";
    for arguments in [
        &["evaluate", "--model", model][..],
        &["predict", "fill-mask", "--model", model, "a [MASK]"],
        &["predict", "glue", "--model", "sst2=hub:owner/name", "--output", &zip],
        &["export", "--model", model, "--output", &output],
        &["import", "--from", model, "--output", &output],
        &["import", "--from", "a", "--tokenizer", model, "--output", &output],
        &["convert", "--from", model, "--output", &output, "--run-dir", &run],
        &["serve", "--port", "0", "--model", model],
    ] {
        let mut refused = command(arguments[0]);
        refused.args(&arguments[1..]);
        let message = finish(refused).refused(2);
        assert_contains(&message, &["`hub:owner/name`", "`--features hub`", "`hf download "]);
    }
    for setting in ["model.init_from=hub:owner/name", "tokenizer.path=hub:owner/name"] {
        let message = finish(fixture.train("run", &[setting])).refused(2);
        assert_contains(&message, &["`hub:owner/name`", "`--features hub`"]);
    }
    for arguments in [["push", ".", "owner/name"].as_slice(), &["download", "owner/name"]] {
        let mut hub = command("hub");
        hub.args(arguments);
        assert_contains(&finish(hub).refused(2), &["`owner/name`", "`--features hub`"]);
    }
}

#[test]
fn a_folder_for_scratch_files_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let mut dry_run = fixture.train("run", &[]);
    dry_run.arg("--dry-run").env("TMPDIR", fixture.path("nowhere"));
    assert_contains(&finish(dry_run).refused(7), &[&fixture.text("nowhere"), "`TMPDIR`"]);
}

#[test]
fn a_loss_that_is_not_finite_exits_with_five_and_keeps_the_last_checkpoint() {
    let fixture = Fixture::new();
    let message = finish(fixture.train(
        "run",
        &[
            "optimizer.learning_rate=1e30",
            "trainer.max_grad_norm=0",
            "trainer.max_skipped_steps=2",
            "trainer.checkpoint_every=1",
        ],
    ))
    .refused(5);
    assert_contains(&message, &["`2` steps in a row", "`optimizer.learning_rate`"]);
    // Named in the message, and whole.
    let named = message.split('`').find(|part| part.contains("checkpoints/step-")).unwrap();
    let mut export = command("export");
    export.args(["--model", named, "--output", &fixture.text("exported")]);
    finish(export).succeeded();
    let lines = metrics(&fixture.path("run"));
    let skipped: Vec<_> = lines.iter().filter(|line| line["skipped"] == true).collect();
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().all(|line| line["loss"].is_null() || line["grad_norm"].is_null()));
}

#[cfg(not(feature = "rocm"))]
#[test]
fn a_device_that_is_not_compiled_in_exits_with_six() {
    let fixture = Fixture::new();
    let message = finish(fixture.train("run", &["device=rocm"])).refused(6);
    assert_contains(&message, &["`rocm`", "`--features rocm`"]);
}

#[cfg(target_os = "linux")] // elsewhere the machine's memory is not known
#[test]
fn a_training_that_no_memory_will_hold_exits_with_six_before_it_starts() {
    let fixture = Fixture::new();
    let large = ["trainer.batch_size=50000000", "trainer.micro_batch_size=50000000"];
    let mut dry_run = fixture.train("run", &large);
    dry_run.arg("--dry-run");
    for command in [fixture.train("run", &large), dry_run] {
        let message = finish(command).refused(6);
        assert_contains(&message, &["`trainer.micro_batch_size`, now `50000000`", "GB"]);
    }
    assert!(!fixture.path("run/config.toml").exists());
}

#[cfg(target_os = "linux")] // elsewhere the limit on a process's memory is not kept
#[test]
fn memory_that_is_refused_exits_with_six() {
    let mut shell = at_root("sh");
    shell.args(["-c", "ulimit -v 8000000 && exec \"$@\"", "sh", NYSTROMFORMER, "bench"]);
    // Queries of 2^26 tokens by 64 features: 16 GiB.
    shell.args(["attention", "--kind", "nystrom", "--seq-len", "67108864", "--heads", "1"]);
    let message = finish(shell).refused(6);
    assert_contains(&message, &["`17179869184` bytes of memory", "--dry-run"]);
}

#[test]
fn what_cannot_be_written_exits_with_seven() {
    let fixture = Fixture::new();
    fs::write(fixture.path("file"), "").unwrap();
    let message = finish(fixture.train("file/run", &[])).refused(7);
    assert_contains(&message, &["file/run`"]);
    let setting = format!("data.cache_dir={}", fixture.text("file/cache"));
    assert_contains(&finish(fixture.train("run", &[&setting])).refused(7), &["file/cache`"]);
    let run = fixture.trained("other");
    let mut export = command("export");
    export.arg("--model").arg(&run).args(["--output", &fixture.text("file/exported")]);
    assert_contains(&finish(export).refused(7), &["file"]);
}
