//! Every route beside transformers; which model; the same bytes in every batch.

use std::{fs, path::PathBuf, sync::Barrier, thread};

use serde_json::{Value, json};

use super::client::{Server, model, paper_model};
use crate::{
    fixture::{command, finish, read_json},
    pipelines::assert_close,
};

/// The texts of a case, and what transformers answers to each.
fn case(name: &str, number: usize) -> (Vec<Value>, Vec<Value>) {
    let case = &read_json(&model(name).join("answers.json"))[number];
    let list = |key: &str| case[key].as_array().unwrap().clone();
    (list("requests"), list("answers"))
}

fn serve(names: &[&str], arguments: &[&str]) -> Server {
    let folders: Vec<PathBuf> = names.iter().map(|name| model(name)).collect();
    let folders: Vec<_> = folders.iter().map(PathBuf::as_path).collect();
    Server::start(&folders, arguments)
}

fn text(request: &Value) -> &Value {
    &request["text"]
}

#[test]
fn classes_are_transformers_alone_and_in_batches() {
    let server = serve(&["multi_label", "single_label", "regression", "one_label"], &[]);
    for (name, top_k) in [("multi_label", 3), ("single_label", 4), ("regression", 2)] {
        let (requests, expected) = case(name, 1);
        let inputs: Vec<Value> = requests
            .iter()
            .map(|request| match &request["text_pair"] {
                Value::Null => json!([request["text"]]),
                pair => json!([request["text"], pair]),
            })
            .collect();
        let body = json!({"inputs": inputs, "truncate": true, "model": name});
        let found = server.post("/predict", &body).ok();
        assert_eq!(found[0].as_array().unwrap().len(), top_k);
        for ((found, expected), inputs) in
            found.as_array().unwrap().iter().zip(&expected).zip(inputs)
        {
            let expected = expected.as_array().unwrap();
            let best = found.as_array().unwrap()[..expected.len()].to_vec();
            assert_close(&Value::Array(best), &Value::Array(expected.clone()));
            let body = json!({"inputs": inputs, "truncate": true, "model": name});
            assert_eq!(&server.post("/predict", &body).ok(), found, "{inputs}");
        }
    }
    let body = json!({"inputs": "Anna", "model": "regression", "raw_scores": true});
    assert_eq!(
        server.post("/predict", &body).body,
        server.post("/predict", &json!({"inputs": "Anna", "model": "regression"})).body
    );

    // A ranker scores each pair as a classifier of one class does.
    let texts = ["In Paris.", "Yes.", "The film was good."];
    let asked = json!({
        "query": "Where?", "texts": texts, "model": "one_label", "return_text": true
    });
    let ranks = server.post("/rerank", &asked).ok();
    let ranks = ranks.as_array().unwrap();
    let scores: Vec<f64> = ranks.iter().map(|rank| rank["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|left, right| left >= right) && scores.len() == 3, "{scores:?}");
    for rank in ranks {
        let text = texts[rank["index"].as_u64().unwrap() as usize];
        assert_eq!(rank["text"], text);
        let body = json!({"inputs": ["Where?", text], "model": "one_label"});
        assert_eq!(server.post("/predict", &body).ok()[0]["score"], rank["score"]);
    }
}

/// A model that was trained to read long texts in windows cuts none, and its answer is that of `predict classify`.
#[test]
fn a_text_in_windows_has_one_answer() {
    let scratch = tempfile::tempdir().unwrap();
    let copy = paper_model("single_label", scratch.path());
    let path = copy.join("tokenizer_config.json");
    let mut config = read_json(&path);
    config["trained_truncation"] = json!({"max_length": 8, "keep": "head"});
    config["trained_windows"] = json!({"stride": 2, "max_windows": 4, "pooling": "mean"});
    fs::write(path, config.to_string()).unwrap();
    let server = Server::start(&[&copy], &[]);
    let long = "anna lives in paris . bob works not the film";
    let found = server.post("/predict", &json!({"inputs": [["anna"], [long]]})).ok();
    let mut predict = command("predict");
    predict.args(["classify", "--top-k", "4", "--model"]).arg(&copy).args(["anna", long]);
    for (found, expected) in
        found.as_array().unwrap().iter().zip(finish(predict).succeeded().json_lines())
    {
        assert_close(found, &expected);
    }
    // What is beyond the last window is cut only if asked.
    let longer = format!("{long} {long} {long}");
    let refused = server.post("/predict", &json!({"inputs": longer})).refused(413, "validation");
    assert!(refused.contains("tokens more than"), "{refused}");
    server.post("/predict", &json!({"inputs": longer, "truncate": true})).ok();
}

#[test]
fn masks_entities_answers_and_choices_are_transformers() {
    let server = serve(&["fill_mask", "tokens", "qa", "choice"], &[]);
    let (requests, expected) = case("fill_mask", 1);
    for (request, expected) in requests.iter().zip(&expected) {
        let filled = server.post("/fill-mask", &json!({"inputs": text(request), "top_k": 2}));
        assert_close(&filled.ok(), expected);
    }
    let all: Vec<&Value> = requests.iter().map(text).collect();
    let filled = server.post("/fill-mask", &json!({"inputs": all, "top_k": 2})).ok();
    assert_close(&filled, &Value::Array(expected));

    for (number, strategy) in
        [(0, "none"), (2, "simple"), (5, "first"), (8, "average"), (11, "max")]
    {
        let (requests, expected) = case("tokens", number);
        let texts: Vec<&Value> = requests.iter().map(text).collect();
        let body = json!({"inputs": texts, "aggregation_strategy": strategy, "truncate": true});
        assert_close(&server.post("/tokens", &body).ok(), &Value::Array(expected.clone()));
        let body = json!({"inputs": texts[1], "aggregation_strategy": strategy});
        assert_close(&server.post("/tokens", &body).ok(), &expected[1]);
    }
    let (requests, expected) = case("tokens", 14);
    let body = json!({"inputs": text(&requests[0]), "ignore_labels": []});
    assert_close(&server.post("/tokens", &body).ok(), &expected[0]);

    for (number, options) in [
        (0, json!({})),
        (1, json!({"top_k": 4})),
        (2, json!({"top_k": 3, "max_answer_len": 2})),
        (3, json!({"handle_impossible_answer": true})),
    ] {
        let (requests, expected) = case("qa", number);
        for (request, expected) in requests.iter().zip(&expected) {
            let mut body = options.clone();
            body["question"] = request["question"].clone();
            body["context"] = request["context"].clone();
            let mut expected = expected.clone();
            // A request carries no name here: its answer is the one to it.
            let unnamed = |answer: &mut Value| {
                answer.as_object_mut().unwrap().remove("id");
            };
            match expected.as_array_mut() {
                Some(several) => several.iter_mut().for_each(unnamed),
                None => unnamed(&mut expected),
            }
            // Who asks for several gets a list here, however many there are.
            if options["top_k"].is_number() && expected.is_object() {
                expected = json!([expected]);
            }
            assert_close(&server.post("/qa", &body).ok(), &expected);
        }
    }

    let (requests, expected) = case("choice", 0);
    for (request, expected) in requests.iter().zip(&expected) {
        let prompt = request.get("prompt").unwrap_or(&request["question"]);
        let body = json!({"prompt": prompt, "choices": request["choices"], "truncate": true});
        assert_close(&server.post("/choice", &body).ok(), expected);
        let body = json!({"query": prompt, "texts": request["choices"], "truncate": true});
        let best = &server.post("/rerank", &body).ok()[0];
        assert_eq!(best["index"], expected["choice"]);
    }
}

#[test]
fn vectors_are_transformers_and_openai_gets_the_same() {
    let server = serve(&["features"], &[]);
    let (requests, expected) = case("features", 2);
    let texts: Vec<&Value> = requests.iter().map(text).collect();
    let raw = server.post("/embed", &json!({"inputs": texts, "normalize": false})).ok();
    assert_close(&raw, &Value::Array(expected));
    let unit = server.post("/embed", &json!({"inputs": texts})).ok();
    let numbers = |vector: &Value| -> Vec<f64> {
        vector.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    for (unit, raw) in unit.as_array().unwrap().iter().zip(raw.as_array().unwrap()) {
        let (unit, raw) = (numbers(unit), numbers(raw));
        let length = raw.iter().map(|value| value * value).sum::<f64>().sqrt();
        assert!(unit.iter().zip(&raw).all(|(unit, raw)| (unit - raw / length).abs() < 1e-6));
    }
    // One text is a list of one, as in text-embeddings-inference.
    assert_eq!(server.post("/embed", &json!({"inputs": texts[0]})).ok()[0], unit[0]);

    let answer = server.post("/v1/embeddings", &json!({"input": texts, "model": "features"})).ok();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!("features")));
    let usage = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(usage > 8 && answer["usage"]["total_tokens"] == usage, "{answer}");
    for (index, entry) in answer["data"].as_array().unwrap().iter().enumerate() {
        let expected = json!({"object": "embedding", "embedding": unit[index], "index": index});
        assert_eq!(entry, &expected);
    }
    let body = json!({"input": texts[0], "encoding_format": "base64", "user": "me"});
    let encoded = server.post("/v1/embeddings", &body).ok();
    let encoded = encoded["data"][0]["embedding"].as_str().unwrap().to_owned();
    // 16 numbers of 4 bytes.
    assert_eq!(encoded.len(), 64usize.div_ceil(3) * 4);

    let body = json!({"input": "a", "dimensions": 8});
    assert!(server.post("/v1/embeddings", &body).refused(422, "validation").contains("16"));
    server.post("/v1/embeddings", &json!({"input": "a", "dimensions": 16})).ok();
    server
        .post("/embed", &json!({"inputs": "a", "prompt_name": "query"}))
        .refused(422, "validation");
    server
        .post("/embed", &json!({"inputs": "a", "truncation_direction": "Left"}))
        .refused(422, "validation");
    server.post("/embed", &json!({"inputs": "a", "truncation_direction": "right"})).ok();
}

#[test]
fn attention_is_of_all_layers_or_of_one() {
    let server = serve(&["single_label"], &[]);
    let all = server.post("/attention", &json!({"inputs": "Anna lives in Paris."})).ok();
    assert_eq!(all["tokens"][1], "anna");
    let tokens = all["tokens"].as_array().unwrap().len();
    let layers = all["attention"].as_array().unwrap();
    let info = server.get("/info").ok();
    assert_eq!(info["models"][0]["layers"], layers.len());
    for layer in layers {
        let heads = layer["heads"].as_array().unwrap();
        assert_eq!(info["models"][0]["heads"], heads.len());
        assert!(heads.iter().all(|head| head.as_array().unwrap().len() == tokens));
    }
    let body = json!({"inputs": ["Anna lives in Paris.", "Yes."], "layer": layers.len() - 1});
    let one = server.post("/attention", &body).ok();
    assert_eq!(one["attention"].as_array().unwrap().len(), 1);
    assert!(one["tokens"].as_array().unwrap().len() > tokens);
    let beyond = json!({"inputs": "Anna", "layer": layers.len()});
    server.post("/attention", &beyond).refused(422, "validation");
}

#[test]
fn a_model_is_chosen_by_its_name_or_by_what_it_answers() {
    let named = format!("second={}", model("single_label").display());
    let server = serve(&["fill_mask", "single_label"], &["--model", &named]);
    let info = server.get("/info").ok();
    let names: Vec<&str> = info["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["fill_mask", "single_label", "second"]);
    assert_eq!(info["models"][0]["mask_token"], "[MASK]");
    assert_eq!(info["models"][0]["routes"][0], "/fill-mask");
    assert_eq!(info["models"][1]["labels"], json!(["bad", "good", "mixed", "none"]));
    assert_eq!(
        info["models"][1]["routes"],
        json!(["/predict", "/embed", "/attention", "/v1/embeddings"])
    );
    assert_eq!(info["model_id"], "fill_mask");
    assert_eq!(info["model_type"], json!({"embedding": {"pooling": "mean"}}));

    server.post("/fill-mask", &json!({"inputs": "a [MASK]"})).ok();
    let several = server.post("/predict", &json!({"inputs": "a"})).refused(422, "validation");
    assert!(
        several.contains("`single_label`, `second`") && !several.contains("fill_mask"),
        "{several}"
    );
    let one = server.post("/predict", &json!({"inputs": "a", "model": "second"})).ok();
    assert_eq!(server.post("/predict", &json!({"inputs": "a", "model": "single_label"})).ok(), one);
    let unknown = json!({"input": "a", "model": "text-embedding-3-small"});
    let unknown = server.post("/v1/embeddings", &unknown).refused(404, "not_found");
    assert!(unknown.contains("`second`"), "{unknown}");
    let headless = json!({"inputs": "a", "model": "fill_mask"});
    let headless = server.post("/predict", &headless).refused(424, "backend");
    assert!(headless.contains("/fill-mask") && headless.contains("MaskedLM"), "{headless}");
    server.post("/qa", &json!({"question": "a", "context": "b"})).refused(424, "backend");
}

/// Long and short texts, each alone on an idle server and then all of them at the same time.
#[test]
fn neighbours_in_a_batch_change_no_byte_of_an_answer() {
    let scratch = tempfile::tempdir().unwrap();
    let models =
        ["fill_mask", "single_label", "tokens"].map(|name| paper_model(name, scratch.path()));
    let models: Vec<_> = models.iter().map(PathBuf::as_path).collect();
    let server = Server::start(&models, &["--batch-wait-ms", "100"]);
    let words = ["anna ", "Paris ", "trainer ", "naïve ", "film. ", "river "];
    let text = |number: usize| -> String {
        (0..number * 11 % 41).map(|word| words[(word * 5 + number) % words.len()]).collect()
    };
    let requests: Vec<(&str, Value)> = (0..64)
        .map(|number| match number % 4 {
            0 => ("/predict", json!({"inputs": text(number), "truncate": true})),
            1 => ("/fill-mask", json!({"inputs": format!("[MASK] {}", text(number % 16))})),
            2 => ("/tokens", json!({"inputs": text(number), "truncate": true})),
            _ => ("/embed", json!({"inputs": [text(number), text(number + 1)], "truncate": true, "model": "single_label"})),
        })
        .collect();
    let alone: Vec<_> = requests.iter().map(|(path, body)| server.post(path, body)).collect();
    assert!(alone.iter().all(|answer| answer.status == 200 || answer.status == 413));
    for _ in 0..3 {
        let barrier = Barrier::new(requests.len());
        let together: Vec<_> = thread::scope(|scope| {
            let ask = |(path, body): &(&'static str, Value)| {
                let (path, body) = (*path, body.clone());
                let (barrier, server) = (&barrier, &server);
                scope.spawn(move || {
                    barrier.wait();
                    server.post(path, &body)
                })
            };
            let asked: Vec<_> = requests.iter().map(ask).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        for ((together, alone), (path, body)) in together.iter().zip(&alone).zip(&requests) {
            assert_eq!(together.text(), alone.text(), "{path} {body}");
        }
    }
    // They were computed together indeed.
    let of = |line: &str| {
        server.metric(&format!("nystromformer_batch_rows_{line}{{model=\"single_label\"}}"))
    };
    assert!(of("sum") > 1.5 * of("count"), "{} rows in {} batches", of("sum"), of("count"));
}

#[test]
fn what_is_read_is_there_for_programs_and_people() {
    let server = serve(&["fill_mask"], &[]);
    let health = server.get("/health");
    assert_eq!((health.status, health.body.len()), (200, 0));
    let document = server.get("/openapi.json").ok();
    for path in ["/embed", "/v1/embeddings", "/health", "/"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let metrics = server.get("/metrics");
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    assert!(
        metrics.text().contains("nystromformer_requests_total{route=\"/health\",code=\"200\"} 1")
    );
    let page = server.get("/");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
    assert!(page.text().contains("<html"));

    let head = server.asked("HEAD", "/info", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let options = server.asked("OPTIONS", "/embed", "", b"");
    assert_eq!((options.status, options.headers["allow"].as_str()), (204, "POST"));
    let wrong = server.get("/embed");
    wrong.refused(405, "validation");
    assert_eq!(wrong.headers["allow"], "POST");
    server.post("/info", &json!({})).refused(405, "validation");
    assert!(server.get("/nowhere").refused(404, "not_found").contains("`/nowhere`"));
    assert!(!options.headers.contains_key("access-control-allow-origin"));
}

#[test]
fn pages_of_other_origins_ask_only_if_they_are_named() {
    let server = serve(&["fill_mask"], &["--cors-origin", "https://a.example"]);
    let from =
        |origin: &str| server.asked("OPTIONS", "/embed", &format!("Origin: {origin}\r\n"), b"");
    let allowed = from("https://a.example");
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://a.example");
    assert!(allowed.headers["access-control-allow-headers"].contains("content-type"));
    assert!(!from("https://b.example").headers.contains_key("access-control-allow-origin"));
}
