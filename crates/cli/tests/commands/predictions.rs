//! `evaluate`, `predict fill-mask` and `features`, `export` and `import` on a trained model.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::fixture::{
    Finished, Fixture, STEPS, checkpoint, command, finish, finish_with_stdin, keys, read_json,
    repository,
};

fn fill_mask(model: &Path, arguments: &[&str]) -> Command {
    let mut predict = command("predict");
    predict.args(["fill-mask", "--model"]).arg(model).args(arguments);
    predict
}

#[test]
fn evaluate_repeats_the_evaluation_of_the_run() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let model = run.display().to_string();
    let evaluate = |arguments: &[&str], further: &[&str]| {
        let arguments =
            [&["--model", &model, "--config", "configs/tiny/mlm.toml"], arguments].concat();
        finish(fixture.on_tiny("evaluate", &arguments, further))
    };
    let result = evaluate(&[], &[]).succeeded().json();
    assert_eq!(keys(&result), ["accuracy", "examples", "loss", "perplexity", "split"]);
    let best = &read_json(&run.join("summary.json"))["best_evaluation"];
    for metric in ["loss", "accuracy", "perplexity"] {
        assert_eq!(result[metric], best[metric], "{metric}");
    }
    let said = evaluate(&[], &[]).succeeded().stderr;
    assert!(!said.contains("warning"), "{said}");
    let on_its_own_data = |model: &Path| {
        let mut evaluate = command("evaluate");
        evaluate.arg("--model").arg(model);
        finish(evaluate)
    };
    let own = on_its_own_data(&run).succeeded();
    assert!(own.json() == result && !own.stderr.contains("warning"), "{own:?}");
    let exported = fixture.path("exported");
    let mut export = command("export");
    export.arg("--model").arg(&run).arg("--output").arg(&exported);
    finish(export).succeeded();
    assert!(on_its_own_data(&exported).refused(2).contains("`--config`"));
    let said = evaluate(&[], &["data.validation_fraction=0.4"]).succeeded().stderr;
    assert!(said.contains("warning: ") && said.contains("was not trained on the data"), "{said}");
    assert!(evaluate(&["--split", "test"], &[]).refused(2).contains("`--split test`"));
    let message = evaluate(&[], &["tokenizer.vocab_size=70"]).refused(2);
    assert!(
        message.contains("another tokenizer") && message.contains("tokenizer.path="),
        "{message}"
    );
    fs::rename(fixture.path("corpus.txt"), fixture.path("moved.txt")).unwrap();
    let message = on_its_own_data(&run).refused(3);
    assert!(message.contains("`--set data.corpus=PATH`"), "{message}");
    let moved = format!("data.corpus={}", fixture.text("moved.txt"));
    let mut again = command("evaluate");
    again.arg("--model").arg(&run).args(["--set", &moved]);
    assert_eq!(finish(again).succeeded().json(), result);
}

#[test]
fn fill_mask_answers_as_the_pipeline_of_hugging_face_does() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let answer =
        finish(fill_mask(&run, &["--top-k", "3", "the [MASK] sees the dog"])).succeeded().json();
    let candidates = answer.as_array().unwrap();
    assert_eq!(candidates.len(), 3);
    let mut last = 1.0;
    for candidate in candidates {
        assert_eq!(keys(candidate), ["score", "sequence", "token", "token_str"]);
        let score = candidate["score"].as_f64().unwrap();
        assert!(score > 0.0 && score <= last, "{answer}");
        last = score;
        let (token, sequence) = (&candidate["token_str"], candidate["sequence"].as_str().unwrap());
        assert!(
            sequence.contains(token.as_str().unwrap()) && sequence.ends_with("sees the dog"),
            "{answer}"
        );
    }
    let default = finish(fill_mask(&run, &["the [MASK] sees"])).succeeded().json();
    assert_eq!(default.as_array().unwrap().len(), 5);
    let two = finish(fill_mask(&run, &["the [MASK] sees the [MASK]"])).succeeded().json();
    assert_eq!(
        two.as_array().unwrap().iter().map(|mask| mask.as_array().unwrap().len()).sum::<usize>(),
        10
    );
}

#[test]
fn fill_mask_reads_a_text_a_line_from_stdin() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let with_stdin = |text: &[u8]| finish_with_stdin(fill_mask(&run, &[]), text);
    let texts = ["the [MASK] sees", "all [MASK]."];
    let answers = with_stdin(texts.join("\n").as_bytes()).succeeded().json_lines();
    let arguments = finish(fill_mask(&run, &texts)).succeeded().json_lines();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers, arguments);
    assert!(with_stdin(b"caf\xe9 [MASK]\n").refused(3).contains("UTF-8"));
}

#[test]
fn fill_mask_says_what_it_cannot_fill() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let message = finish(fill_mask(&run, &["no mask here"])).refused(2);
    assert!(message.contains("`no mask here`") && message.contains("[MASK]"), "{message}");
    let long = "cat ".repeat(40) + "[MASK]";
    let message = finish(fill_mask(&run, &[&long])).refused(2);
    assert!(message.contains("32"), "{message}");
}

/// Writes a safetensors file of I64 tensors.
fn write_ids(path: &Path, tensors: &[(&str, &[usize], &[i64])]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(Dtype::I64, shape.to_vec(), bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn features(fixture: &Fixture, model: &str, input: &str, arguments: &[&str]) -> Finished {
    let mut predict = command("predict");
    predict.args(["features", "--model", &fixture.text(model), "--input", &fixture.text(input)]);
    predict.args(["--output", &fixture.text("out.safetensors")]).args(arguments);
    finish(predict)
}

/// Shape and values of every tensor that `predict features` wrote.
fn outputs(fixture: &Fixture) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(fixture.path("out.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, tensor)| {
            assert_eq!(tensor.dtype(), Dtype::F32);
            let (values, _) = tensor.data().as_chunks();
            let values = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
            (name.to_owned(), (tensor.shape().to_vec(), values))
        })
        .collect()
}

fn export(model: &Path, output: &Path) -> Finished {
    let mut export = command("export");
    export.arg("--model").arg(model).arg("--output").arg(output);
    finish(export)
}

#[test]
fn features_are_those_of_the_run_in_its_checkpoint_and_in_its_export() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    export(&run, &fixture.path("exported")).succeeded();
    let ids: Vec<i64> = (0..24).map(|index| 5 + index % 50).collect();
    let mut mask = vec![1; 24];
    mask[19..].fill(0);
    let shape = [2, 12].as_slice();
    write_ids(
        &fixture.path("in.safetensors"),
        &[
            ("input_ids", shape, &ids),
            ("attention_mask", shape, &mask),
            ("token_type_ids", shape, &[0; 24]),
        ],
    );
    let newest = format!("run/checkpoints/step-{STEPS:08}");
    let of = ["run", &newest, "exported"].map(|model| {
        features(&fixture, model, "in.safetensors", &["--hidden-states"]).succeeded();
        outputs(&fixture)
    });
    assert_eq!(of[0], of[1]);
    assert_eq!(of[0], of[2]);
    let names: Vec<&str> = of[0].keys().map(String::as_str).collect();
    assert_eq!(names, ["hidden_states.0", "hidden_states.1", "hidden_states.2", "logits"]);
    let vocab_size =
        read_json(&fixture.path("exported/config.json"))["vocab_size"].as_u64().unwrap();
    assert_eq!(of[0]["logits"].0, [2, 12, vocab_size as usize]);
    assert_eq!(of[0]["hidden_states.2"].0, [2, 12, 32]);
    assert!(of[0]["logits"].1.iter().all(|value| value.is_finite()));

    let said = features(&fixture, "run", "in.safetensors", &[]).succeeded().stderr;
    assert_eq!(outputs(&fixture).keys().collect::<Vec<_>>(), ["logits"]);
    assert!(!said.contains("not read") && !said.contains("means nothing"), "{said}");
    mask[12..].fill(0);
    write_ids(
        &fixture.path("more.safetensors"),
        &[
            ("input_ids", shape, &ids),
            ("attention_mask", shape, &mask),
            ("labels", &[2], &[0; 2]),
            ("position_ids", shape, &[0; 24]),
        ],
    );
    let said = features(&fixture, "run", "more.safetensors", &[]).succeeded().stderr;
    for part in
        ["tensors that are not read: `labels`, `position_ids`", "0 throughout `1` of the rows"]
    {
        assert!(said.contains(part), "{said}");
    }

    features(&fixture, "run", "in.safetensors", &["--attention-factors"]).succeeded();
    let found = outputs(&fixture);
    assert_eq!(found.len(), 1 + 2 * 4);
    // Two rows, two heads, twelve tokens, eight landmarks.
    assert_eq!(found["attention_factors.1.kernel_1"].0, [2, 2, 12, 8]);
    assert_eq!(found["attention_factors.1.kernel_3"].0, [2, 2, 8, 12]);
    for name in ["kernel_2", "pinv"] {
        assert_eq!(found[&format!("attention_factors.0.{name}")].0, [2, 2, 8, 8]);
    }
}

/// Tensors of other shapes than the ids, and empty ones, are the file's fault.
#[test]
fn inputs_that_do_not_fit_each_other_are_data_errors() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    assert!(run.is_dir());
    for (mask_shape, ids_shape, words) in [
        ([3, 8].as_slice(), [2, 12].as_slice(), "input_ids"),
        (&[0, 12], &[0, 12], "at least one row"),
    ] {
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        write_ids(
            &fixture.path("in.safetensors"),
            &[
                ("input_ids", ids_shape, &vec![5; count(ids_shape)]),
                ("attention_mask", mask_shape, &vec![1; count(mask_shape)]),
            ],
        );
        let message = features(&fixture, "run", "in.safetensors", &[]).refused(3);
        assert!(message.contains(words), "{message}");
    }
}

/// A folder that transformers wrote, and its own output for a batch: see `tools/reference/make_hf_checkpoint.py`.
#[test]
fn a_bare_encoder_gives_the_hidden_states_of_transformers_and_nothing_else() {
    let fixture = Fixture::new();
    let source = repository().join("crates/interop/tests/fixtures/bare");
    let input = source.join("expected_logits.safetensors");
    fs::create_dir(fixture.path("bare")).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(source.join(name), fixture.path("bare").join(name)).unwrap();
    }
    fs::copy(&input, fixture.path("in.safetensors")).unwrap();
    features(&fixture, "bare", "in.safetensors", &["--hidden-states"]).succeeded();
    let found = outputs(&fixture);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["hidden_states.0", "hidden_states.1", "last_hidden_state"]);
    assert_eq!(found["last_hidden_state"], found["hidden_states.1"]);

    let bytes = fs::read(&input).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let expected = file.tensor("last_hidden_state").unwrap();
    let (shape, values) = &found["last_hidden_state"];
    assert_eq!(shape, expected.shape());
    let (expected, _) = expected.data().as_chunks();
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - f32::from_le_bytes(*expected)).abs() < 2e-5, "{value}");
    }

    let bare = fixture.path("bare");
    let mut evaluate = command("evaluate");
    evaluate.arg("--model").arg(&bare).args(["--config", "configs/tiny/mlm.toml"]);
    export(&bare, &fixture.path("exported")).succeeded();
    for refused in [finish(fill_mask(&bare, &["the [MASK]"])), finish(evaluate)] {
        let message = refused.refused(4);
        assert!(message.contains("is no NystromformerForMaskedLM"), "{message}");
        assert!(message.contains("predict features"), "{message}");
    }
}

#[test]
fn features_of_an_unusable_file_name_the_tensor() {
    let fixture = Fixture::new();
    fixture.trained("run");
    let input = fixture.path("in.safetensors");
    let refused = |code, part: &str| {
        let message = features(&fixture, "run", "in.safetensors", &[]).refused(code);
        assert!(message.contains(part), "{message}");
        assert!(!fixture.path("out.safetensors").exists());
    };
    refused(3, "in.safetensors");
    fs::write(&input, "{}").unwrap();
    refused(3, "not a safetensors file");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 438\n";
    fs::write(&input, pointer).unwrap();
    refused(3, "git lfs pull");
    write_ids(&input, &[("ids", &[1, 4], &[5; 4])]);
    refused(3, "`input_ids`");
    write_ids(&input, &[("input_ids", &[4], &[5; 4])]);
    refused(3, "[batch, seq_len]");
    write_ids(&input, &[("input_ids", &[1, 4], &[5, 6, 4000, 7])]);
    refused(3, "`4000`");
    write_ids(&input, &[("input_ids", &[1, 4], &[5, 6, -1, 7])]);
    refused(3, "`-1`");
    write_ids(&input, &[("input_ids", &[1, 40], &[5; 40])]);
    refused(3, "`40`");
    write_ids(&input, &[("input_ids", &[1, 4], &[5; 4]), ("attention_mask", &[1, 3], &[1; 3])]);
    refused(3, "attention_mask");
}

#[test]
fn export_and_import_give_the_weights_back_byte_for_byte() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let exported = fixture.path("exported");
    let said = export(&run, &exported).succeeded();
    // transformers computes another padding and length: the user is told.
    assert!(said.stdout.is_empty() && said.stderr.contains("note: "), "{}", said.stderr);
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "README.md"] {
        assert!(exported.join(name).is_file(), "{name}");
    }
    let mut import = command("import");
    import.arg("--from").arg(&exported).args(["--output", &fixture.text("imported")]);
    finish(import).succeeded();
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&exported) == weights(&checkpoint(&run, STEPS)));
    assert!(weights(&exported) == weights(&fixture.path("imported")));

    let message = export(&run, &exported).refused(2);
    assert!(message.contains("exported`") && message.contains("nothing was written"), "{message}");
    export(&fixture.path("nowhere"), &fixture.path("other")).refused(4);
}

#[test]
fn an_export_starts_another_run_of_the_same_vocabulary() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    export(&run, &fixture.path("exported")).succeeded();
    let first_loss = |run: &str, settings: &[&str]| -> Value {
        finish(fixture.train(run, &[settings, &["trainer.max_steps=1"]].concat())).succeeded();
        crate::fixture::metrics(&fixture.path(run))[0]["loss"].clone()
    };
    let fresh = first_loss("fresh", &[]);
    let [from_export, from_run] = ["exported", "run"].map(|model| {
        first_loss(&format!("from-{model}"), &[&format!("model.init_from={}", fixture.text(model))])
    });
    assert_eq!(from_export, from_run);
    assert!(from_run.as_f64() < fresh.as_f64(), "{from_run} {fresh}");

    let source = format!("model.init_from={}", fixture.text("exported"));
    let other = finish(fixture.train("other", &[&source, "tokenizer.vocab_size=70"])).refused(2);
    assert!(other.contains("another vocabulary") && other.contains("tokenizer.path"), "{other}");
}
