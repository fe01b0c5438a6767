//! Token classification from files to predictions: `train`, `evaluate`, `predict tokens`, and what is malformed.

use std::fs;
use std::process::Command;

use nystromformer_tasks::metrics::{EntityMode, EntityScores, EntityTag};
use serde_json::{Value, json};

use crate::fixture::{
    Finished, Fixture, checkpoint, command, finish, finish_with_stdin, read_json,
};

const MODEL: &str = "seed = 5\n\
    [model]\nhidden_size = 32\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32\n\
    max_position_embeddings = 64\nnum_landmarks = 4\nconv_kernel_size = 3\nhidden_dropout_prob = 0.0\n\
    attention_probs_dropout_prob = 0.0\n\
    [data]\nseq_len = 32\n\
    [optimizer]\nlearning_rate = 1e-2\n\
    [trainer]\nmax_steps = 40\nbatch_size = 8\neval_every = 20\neval_examples = 0\n";

/// Words in pieces of the vocabulary below, and their tags in IOB1.
const LEXICON: [(&str, &str); 8] = [
    ("anna", "I-PER"),
    ("annaberg", "I-PER"),
    ("rome", "I-LOC"),
    ("romeburg", "I-LOC"),
    ("sees", "O"),
    ("in", "O"),
    ("the", "O"),
    ("day", "O"),
];

const VOCABULARY: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "rome", "##berg", "##burg", "sees", "in",
    "the", "day", "eve",
];

/// A sentence of some words, and of which sort. Neighbours of one type are one entity.
fn sentence(number: usize, length: usize) -> String {
    let words = (0..length).map(|place| LEXICON[(number * 5 + place * place * 3 + place) % 8]);
    let lines: Vec<String> = words.map(|(word, tag)| format!("{word} NN {tag}\n")).collect();
    lines.concat()
}

/// The folder `data` with CoNLL files, and `ner.toml`.
fn prepare(fixture: &Fixture, further: &str) {
    fs::write(fixture.path("vocab.txt"), VOCABULARY.join("\n")).unwrap();
    fs::create_dir(fixture.path("data")).unwrap();
    for (name, numbers) in [("eng.train", 0..40), ("eng.testa", 40..52), ("eng.testb", 52..64)] {
        let sentences = numbers.map(|number| sentence(number, 3 + number % 7));
        let content = format!("-DOCSTART- -X- O\n\n{}", sentences.collect::<Vec<_>>().join("\n"));
        fs::write(fixture.path(&format!("data/{name}")), content).unwrap();
    }
    let config = format!(
        "{MODEL}[tokenizer]\npath = \"{}\"\n[task]\nname = \"ner\"\npath = \"{}\"\n{further}\n",
        fixture.text("vocab.txt"),
        fixture.text("data")
    );
    fs::write(fixture.path("ner.toml"), config).unwrap();
}

fn train(fixture: &Fixture, run: &str, settings: &[&str]) -> Command {
    let mut train = command("train");
    train.arg(fixture.text("ner.toml")).args(["--run-dir", &fixture.text(run)]);
    train.args(settings.iter().flat_map(|setting| ["--set", setting]));
    train
}

fn evaluate(fixture: &Fixture, run: &str, split: &str) -> Value {
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text(run), "--split", split]);
    finish(evaluate).succeeded().json()
}

/// The sentences of a file of columns: of each word its fields.
fn columns(text: &str) -> Vec<Vec<Vec<String>>> {
    let fields = |line: &str| line.split(' ').map(str::to_owned).collect();
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
    let blocks = blocks.filter(|block| !block.is_empty() && !block.starts_with("-DOCSTART-"));
    blocks.map(|block| block.lines().map(fields).collect()).collect()
}

/// Entity scores of two columns in IOB1 with the rule of `conlleval`, which reads every scheme.
fn scores(sentences: &[Vec<Vec<String>>]) -> EntityScores {
    let mut scores = EntityScores::new(EntityMode::Lenient);
    for words in sentences {
        let column = |from_the_end: usize| -> Vec<EntityTag<'_>> {
            let tags = words.iter().map(|fields| &fields[fields.len() - from_the_end]);
            tags.map(|tag| EntityTag::parse(tag).unwrap()).collect()
        };
        scores.add(&column(1), &column(2));
    }
    scores
}

#[test]
fn a_trained_run_measures_predicts_and_says_the_same() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    let trained = finish(train(&fixture, "run", &[])).succeeded();
    assert!(trained.stderr.contains("its tags are read as `iob1`"), "{}", trained.stderr);
    let run = fixture.path("run");
    let summary = read_json(&run.join("summary.json"));
    let verdict = &summary["verdict"];
    assert_eq!(verdict["best_by"], "f1");
    let report = &verdict["classes"]["test"];
    assert_eq!(report["labels"], json!(["LOC", "PER"]));
    assert_eq!(report["confusion_matrix"], Value::Null);
    let model = fs::read_to_string(checkpoint(&run, 40).join("config.json")).unwrap();
    let model: Value = serde_json::from_str(&model).unwrap();
    assert_eq!(model["architectures"], json!(["NystromformerForTokenClassification"]));
    assert_eq!(
        model["id2label"],
        json!({"0": "O", "1": "B-LOC", "2": "I-LOC", "3": "B-PER", "4": "I-PER"})
    );

    // What the run says of its test split, what `evaluate` says of it, and what its file of predictions holds.
    let found = evaluate(&fixture, "run", "test");
    for name in ["loss", "f1", "precision", "recall", "accuracy", "f1_strict"] {
        assert_eq!(found[name], verdict["evaluations"]["test"][name], "{name}");
    }
    assert!(found["f1"].as_f64().unwrap() > 0.6, "{found}");
    let written = fs::read_to_string(run.join("predictions/test.conll")).unwrap();
    assert!(written.starts_with("-DOCSTART- -X- O O\n\n"), "{written}");
    let sentences = columns(&written);
    let original = columns(&fs::read_to_string(fixture.path("data/eng.testb")).unwrap());
    assert_eq!(sentences.len(), original.len());
    for (sentence, original) in sentences.iter().zip(&original) {
        let without: Vec<_> = sentence.iter().map(|fields| fields[..3].to_vec()).collect();
        assert_eq!(&without, original);
    }
    let scores = scores(&sentences);
    assert!((scores.micro().f1 - found["f1"].as_f64().unwrap()).abs() < 1e-12);
    let per = serde_json::to_value(scores.per_type()["PER"]).unwrap();
    assert_eq!(report["per_class"][1], per);

    // A file is answered as the test split is: in its own columns, or in JSON lines.
    let predict_file = |file: &str, further: &[&str]| {
        let mut predict = command("predict");
        predict.args(["tokens", "--model", &fixture.text("run")]);
        predict.args(["--input-file", &fixture.text(file)]).args(further);
        finish(predict).succeeded().stdout
    };
    predict_file("data/eng.testb", &["--output", &fixture.text("out.conll")]);
    assert_eq!(fs::read_to_string(fixture.path("out.conll")).unwrap(), written);
    let lines = fs::read_to_string(run.join("predictions/test.jsonl")).unwrap();
    assert_eq!(predict_file("data/eng.testb", &[]), lines);
    fs::write(fixture.path("words.jsonl"), "{\"tokens\": [\"anna\", \"sees\"]}\n").unwrap();
    let answer: Value = serde_json::from_str(&predict_file("words.jsonl", &[])).unwrap();
    assert_eq!(answer["labels"], json!(["B-PER", "O"]));
    let without = predict_file("words.jsonl", &["--ignore-labels", "O"]);
    let entities: Value = serde_json::from_str(&without).unwrap();
    assert!(entities.as_array().unwrap().iter().all(|found| found["entity"] != "O"), "{without}");
    // The words are those that the task reads, also where an option is the pipeline's to answer.
    let entities = |file: &str, further: &[&str]| -> Vec<Value> {
        let answers = predict_file(file, &[&["--ignore-labels="], further].concat());
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(entities("data/eng.testb", &[]).len(), original.len());
    let named = "{\"tokens\": [\"day\"], \"w\": [\"anna\", \"sees\"]}\n";
    fs::write(fixture.path("named.jsonl"), named).unwrap();
    let own = entities("named.jsonl", &["--set", "task.tokens=w"]);
    assert_eq!(own, entities("words.jsonl", &[]));
    fs::write(fixture.path("texts.txt"), "anna sees rome\n").unwrap();
    let entities: Value = serde_json::from_str(&predict_file("texts.txt", &[])).unwrap();
    assert_eq!(entities[0]["entity"], "B-PER");

    // The pipeline, asked word by word, gives each word the tag that was measured.
    let requests: String = original
        .iter()
        .map(|words| {
            let words: Vec<&String> = words.iter().map(|fields| &fields[0]).collect();
            json!({ "tokens": words }).to_string() + "\n"
        })
        .collect();
    let mut predict = command("predict");
    predict.args(["tokens", "--model", &fixture.text("run"), "--jsonl", "--ignore-labels="]);
    let answers = finish_with_stdin(predict, requests.as_bytes()).succeeded().json_lines();
    assert_eq!(answers.len(), sentences.len());
    for (answer, sentence) in answers.iter().zip(&sentences) {
        let tokens = answer.as_array().unwrap();
        let mut start = 0;
        let mut before: Option<String> = None;
        for fields in sentence {
            let first = tokens.iter().find(|token| token["start"] == start).unwrap();
            start += fields[0].len() + 1;
            let tag = first["entity"].as_str().unwrap();
            // The file is in IOB1, the model's labels are in IOB2.
            let kind = tag.split_once('-').map(|(_, kind)| kind.to_owned());
            let written = match &kind {
                None => "O".to_owned(),
                Some(kind) if before.as_ref() == Some(kind) && tag.starts_with('B') => {
                    format!("B-{kind}")
                }
                Some(kind) => format!("I-{kind}"),
            };
            assert_eq!(fields[3], written, "{sentence:?} {answer}");
            before = kind;
        }
    }
}

/// A document in windows: every word is measured once, whatever the windows are, and in one row if it fits.
#[test]
fn documents_are_read_whole_or_in_windows_and_never_cut() {
    let fixture = Fixture::new();
    prepare(
        &fixture,
        "document = \"docstart\"\nvalidation_fraction = 0.5\nvalidation_file = []\nstride = 4",
    );
    let documents = |count: usize| -> String {
        let sentences = |first: usize| {
            (first..first + 4).map(|number| sentence(number, 5)).collect::<Vec<_>>().join("\n")
        };
        let document = |number| format!("-DOCSTART- -X- O\n\n{}\n", sentences(number * 4));
        (0..count).map(document).collect()
    };
    for (name, count) in [("eng.train", 8), ("eng.testb", 3)] {
        fs::write(fixture.path(&format!("data/{name}")), documents(count)).unwrap();
    }
    let words = columns(&documents(3)).concat().len();
    for (run, seq_len) in [("windows", "data.seq_len=12"), ("whole", "data.seq_len=64")] {
        let trained = finish(train(&fixture, run, &[seq_len, "trainer.max_steps=20"])).succeeded();
        assert!(!trained.stderr.contains("longer than"), "{}", trained.stderr);
        let written = fs::read_to_string(fixture.path(run).join("predictions/test.conll")).unwrap();
        let sentences = columns(&written);
        assert_eq!((sentences.len(), sentences.concat().len()), (12, words));
        assert!(sentences.concat().iter().all(|fields| fields.len() == 4));
        let found = evaluate(&fixture, run, "test");
        assert_eq!(found["examples"], 3);
        // A document is measured as the sentences that its file of predictions shows.
        let f1 = scores(&sentences).micro().f1;
        assert!((f1 - found["f1"].as_f64().unwrap()).abs() < 1e-12, "{f1} {found}");
    }
    let message = finish(train(&fixture, "far", &["data.seq_len=12", "task.stride=10"])).refused(2);
    assert!(message.contains("`task.stride` is `10`"), "{message}");
}

#[test]
fn all_tokens_of_a_word_may_be_trained_and_are_measured_as_one_word() {
    let fixture = Fixture::new();
    prepare(&fixture, "label_all_tokens = true");
    finish(train(&fixture, "run", &[])).succeeded();
    let found = evaluate(&fixture, "run", "validation");
    let written = columns(&fs::read_to_string(fixture.path("run/predictions/test.conll")).unwrap());
    let original = columns(&fs::read_to_string(fixture.path("data/eng.testb")).unwrap());
    assert_eq!(written.concat().len(), original.concat().len());
    assert!(found["f1"].as_f64().unwrap() > 0.8, "{found}");
}

/// The tag column may be kept back: the run is measured by validation alone, and its predictions are there all the same.
#[test]
fn a_test_file_without_tags_is_predicted() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    fs::write(fixture.path("data/eng.testb"), "anna\nsees\n\nrome\n").unwrap();
    finish(train(&fixture, "run", &["trainer.max_steps=4"])).succeeded();
    let written = fs::read_to_string(fixture.path("run/predictions/test.conll")).unwrap();
    let sentences = columns(&written);
    assert_eq!(sentences.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert!(sentences.concat().iter().all(|fields| fields.len() == 2), "{written}");
    let verdict = &read_json(&fixture.path("run/summary.json"))["verdict"];
    assert_eq!(verdict["evaluations"]["test"], Value::Null);
}

/// A word without a tag beside others that have one is answered, and neither in the loss nor in the metrics.
#[test]
fn words_without_a_tag_are_answered_and_not_measured() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    let test = |second: &str| format!("anna NN I-PER\nsees NN {second}\n\nrome NN I-LOC\n");
    let mut losses = Vec::new();
    for (run, second) in [("some", "_"), ("all", "O")] {
        fs::write(fixture.path("data/eng.testb"), test(second)).unwrap();
        let trained = finish(train(&fixture, run, &["trainer.max_steps=4"])).succeeded();
        assert_eq!(trained.stderr.contains("`1` words have no tag"), second == "_");
        let written = fs::read_to_string(fixture.path(run).join("predictions/test.conll")).unwrap();
        let sentences = columns(&written);
        assert_eq!(sentences.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert!(sentences.concat().iter().all(|fields| fields.len() == 4), "{written}");
        let words = if second == "_" { 2.0 } else { 3.0 };
        let found = evaluate(&fixture, run, "test");
        let right = found["accuracy"].as_f64().unwrap() * words;
        assert!((right - right.round()).abs() < 1e-12, "{right} of {words}");
        losses.push(found["loss"].as_f64().unwrap() * words);
    }
    // The same model: what is more in the second sum is the loss of one word.
    assert!(losses[0] < losses[1], "{losses:?}");
}

/// What lies beside the files of the splits and has their names is no split, and is named.
#[test]
fn what_is_read_for_a_split_and_what_is_not_is_told() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    for (from, to) in [("eng.train", "train.conll"), ("eng.testa", "dev.conll")] {
        fs::rename(fixture.path(&format!("data/{from}")), fixture.path(&format!("data/{to}")))
            .unwrap();
    }
    for folder in ["evaluation", "eval"] {
        fs::create_dir(fixture.path(&format!("data/{folder}"))).unwrap();
    }
    fs::write(fixture.path("data/evaluation/evaluate.py"), "pass").unwrap();
    fs::write(fixture.path("data/eval/predictions.conll"), "anna O\n").unwrap();
    fs::write(fixture.path("data/train_dev.conll"), "anna NN O\n").unwrap();
    fs::write(fixture.path("data/scores.csv"), "model,f1\n").unwrap();
    let mut dry_run = train(&fixture, "run", &[]);
    dry_run.arg("--dry-run");
    let told = finish(dry_run).succeeded().stderr;
    for part in [
        "the validation split is `dev.conll`, and not `eval/` (`task.validation_file` names another)",
        "no split is read from `scores.csv`, `train_dev.conll`: ",
    ] {
        assert_eq!(told.matches(part).count(), 1, "{part}: {told}");
    }
    // Where nothing else validates, the folder is named.
    fs::remove_file(fixture.path("data/dev.conll")).unwrap();
    fs::remove_dir_all(fixture.path("data/eval")).unwrap();
    fs::write(fixture.path("data/evaluation/predictions.conll"), "anna O\n").unwrap();
    let mut dry_run = train(&fixture, "run", &[]);
    dry_run.arg("--dry-run");
    let told = finish(dry_run).succeeded().stderr;
    assert!(told.contains("no split is read from `evaluation/`, `scores.csv`, "), "{told}");
}

#[test]
fn malformed_files_end_with_their_line_and_exit_code_3() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    let refused = |name: &str, content: &str| -> String {
        fs::write(fixture.path(&format!("data/{name}")), content).unwrap();
        let finished: Finished = finish(train(&fixture, "run", &[]));
        fs::remove_file(fixture.path(&format!("data/{name}"))).unwrap();
        finished.refused(3)
    };
    let message = refused("eng.testa", "anna NN I-PER\nsees NN\n");
    assert!(message.contains("eng.testa:2: `2` columns, and line 1 has `3`"), "{message}");
    let message = refused("eng.testa", "anna NN I-PER\n\nsees NN I-ANIMAL\n");
    assert!(message.contains("eng.testa:3: the tag `B-ANIMAL` is none of"), "{message}");
    let message = refused("valid.jsonl", "{\"tokens\": [\"anna\"], \"ner_tags\": []}\n");
    assert!(message.contains("valid.jsonl:1: `1` words in `tokens` and `0` tags"), "{message}");
    let message = refused("valid.jsonl", "{\"tokens\": [\"anna\"], \"ner_tags\": [");
    assert!(message.contains("valid.jsonl:1: "), "{message}");
    let message = refused("eng.train", "anna NN NN\nsees NN I-PER\n");
    assert!(message.contains("`NN` is no entity tag"), "{message}");
}
