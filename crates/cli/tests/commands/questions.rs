//! Question answering from files to answers: `train`, `evaluate`, `predict qa`, and what is malformed.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{Fixture, command, finish, keys, read_json};

const MODEL: &str = "seed = 5\n\
    [model]\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32\n\
    max_position_embeddings = 32\nnum_landmarks = 4\nconv_kernel_size = 3\ninitializer_range = 0.1\n\
    [data]\nseq_len = 16\n\
    [optimizer]\nlearning_rate = 0.01\n\
    [trainer]\nmax_steps = 40\nbatch_size = 6\nmicro_batch_size = 3\neval_every = 20\neval_examples = 0\n";

const WORDS: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "all", "day", "we", "sing", "weep", "what", "do",
];

/// What we do all day, sometimes after many other days.
fn paragraph(number: usize) -> Value {
    let said = if number.is_multiple_of(3) { "weep" } else { "sing" };
    let context = format!("{}we {said} all day", "all day ".repeat(number % 9));
    let start = context.find(said);
    let question = json!({"id": format!("q{number}"), "question": "what do we do",
                          "answers": [{"text": said, "answer_start": start}]});
    json!({"context": context, "qas": [question]})
}

fn squad(numbers: std::ops::Range<usize>) -> Value {
    json!({"version": "1.1", "data": [{"title": "days", "paragraphs": numbers.map(paragraph).collect::<Vec<_>>()}]})
}

/// Writes `qa.toml` and the folder `data`.
fn prepare(fixture: &Fixture) {
    fs::write(fixture.path("vocab.txt"), WORDS.join("\n")).unwrap();
    fs::create_dir(fixture.path("data")).unwrap();
    for (name, numbers) in [("train-v1.1", 0..36), ("dev-v1.1", 36..54), ("test", 54..75)] {
        fs::write(fixture.path(&format!("data/{name}.json")), squad(numbers).to_string()).unwrap();
    }
    let config = format!(
        "{MODEL}[tokenizer]\npath = \"{}\"\n[task]\nname = \"qa\"\ndoc_stride = 2\npath = \"{}\"\n",
        fixture.text("vocab.txt"),
        fixture.text("data")
    );
    fs::write(fixture.path("qa.toml"), config).unwrap();
}

fn train(fixture: &Fixture) -> crate::fixture::Finished {
    let mut train = command("train");
    train.args([&fixture.text("qa.toml"), "--run-dir", &fixture.text("run")]);
    finish(train)
}

#[test]
fn questions_are_trained_on_answered_and_measured_alike() {
    let fixture = Fixture::new();
    prepare(&fixture);
    let said = train(&fixture).succeeded();
    let told = "the train split is `train-v1.1.json` (`task.train_file` names another)";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    let verdict = &read_json(&fixture.path("run/summary.json"))["verdict"];
    assert_eq!(verdict["best_by"], "f1");
    let test = &verdict["evaluations"]["test"];
    assert!(test["f1"].as_f64().unwrap() > 80.0, "{verdict}");

    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("run"), "--split", "test"]);
    let found = finish(evaluate).succeeded().json();
    for name in ["loss", "f1", "exact_match"] {
        assert_eq!(found[name], test[name], "{name}");
    }
    assert_eq!(found["examples"], 21);
    let answers = read_json(&fixture.path("run/predictions/test.predictions.json"));
    let right = (54..75).filter(|number| {
        let question = &paragraph(*number)["qas"][0];
        answers[question["id"].as_str().unwrap()] == question["answers"][0]["text"]
    });
    let percent = 100.0 * right.count() as f64 / 21.0;
    assert_eq!(found["exact_match"].as_f64().unwrap(), percent);
    let lists = read_json(&fixture.path("run/predictions/test.nbest_predictions.json"));
    assert_eq!(lists["q54"][0]["text"], answers["q54"]);

    let predict = |further: &[&str]| {
        let mut predict = command("predict");
        predict.args(["qa", "--model", &fixture.text("run")]).args(further);
        predict.args(["--input-file", &fixture.text("data/test.json")]);
        finish(predict).succeeded()
    };
    let lines = predict(&[]).json_lines();
    assert_eq!(lines.len(), 21);
    for line in &lines {
        assert_eq!(keys(line), ["answer", "end", "id", "score", "start"]);
        assert_eq!(line["answer"], answers[line["id"].as_str().unwrap()]);
    }
    let alone = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    // To the bit in batches of the same size.
    assert_eq!(alone, predict(&["--batch-size", "3"]).stdout);
    predict(&["--batch-size", "3", "--output", &fixture.text("out.json")]);
    assert_eq!(read_json(&fixture.path("out.json")), answers);
    assert_eq!(read_json(&fixture.path("out.nbest_predictions.json")), lists);
    // With an option of transformers' pipeline the answers are the pipeline's.
    let ranked = predict(&["--top-k", "2"]).json_lines();
    assert!(ranked.iter().all(|found| found.as_array().is_some_and(|found| found.len() == 2)));
    // They are to what the task reads, by its columns.
    let ask = |rows: &[Value], further: &[&str]| {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        fs::write(fixture.path("new.jsonl"), lines.join("\n")).unwrap();
        let mut predict = command("predict");
        predict.args(["qa", "--model", &fixture.text("run"), "--top-k", "2"]).args(further);
        predict.args(["--input-file", &fixture.text("new.jsonl")]);
        finish(predict).succeeded().json_lines()
    };
    let question = "what do we do";
    let usual = json!({"question": question, "context": "we sing all day"});
    let own = json!({"question": question, "context": "all day", "body": "we sing all day"});
    assert_eq!(ask(&[own], &["--set", "task.context=body"]), ask(&[usual], &[]));
}

/// Trained on questions without answers too, a model may say "no answer" in every way of asking, and so may its export.
#[test]
fn no_answer_travels_with_the_model() {
    let fixture = Fixture::new();
    prepare(&fixture);
    let nothing = |number: usize| {
        let question =
            json!({"id": format!("n{number}"), "question": "what do we do", "answers": []});
        json!({"context": "all day ".repeat(1 + number % 4).trim(), "qas": [question]})
    };
    for (name, numbers) in [("train-v1.1", 0..36), ("dev-v1.1", 36..54)] {
        let paragraphs: Vec<Value> =
            numbers.flat_map(|number| [paragraph(number), nothing(number)]).collect();
        let squad =
            json!({"version": "v2.0", "data": [{"title": "days", "paragraphs": paragraphs}]});
        fs::write(fixture.path(&format!("data/{name}.json")), squad.to_string()).unwrap();
    }
    train(&fixture).succeeded();
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    finish(export).succeeded();
    for model in ["run", "exported"] {
        let ask = |context: &str, further: &[&str]| {
            let mut predict = command("predict");
            predict.args(["qa", "--model", &fixture.text(model), "--question", "what do we do"]);
            predict.args(["--context", context]).args(further);
            finish(predict).succeeded().json()["answer"].clone()
        };
        assert_eq!(ask("all day all day", &[]), "", "{model}");
        assert_eq!(ask("we sing all day", &[]), "sing", "{model}");
        assert_ne!(ask("all day all day", &["--handle-impossible-answer=false"]), "", "{model}");
    }
}

#[test]
fn malformed_questions_are_refused_with_their_place() {
    for (content, part) in [
        (
            "{\"data\": [{\"paragraphs\": [{\"context\": \"we sing\", \"qas\": [",
            "test.json:1: not JSON",
        ),
        (
            "{\"data\": [{\"paragraphs\": [{\"qas\": []}]}]}",
            "test.json:1: a paragraph has no text `context`",
        ),
        (
            "[{\"question\": \"q\", \"context\": \"c\",\n\"answers\": {\"text\": [\"c\"], \"answer_start\": []}}]",
            "test.json:1: `answers.text` has `1` answers",
        ),
        ("[{\"question\": \"q\"}]", "test.json:1: no column `context`"),
    ] {
        let fixture = Fixture::new();
        prepare(&fixture);
        fs::write(fixture.path("data/test.json"), content).unwrap();
        let message = train(&fixture).refused(3);
        assert!(message.contains(part), "{content}: {message}");
    }
}
