//! Too much, too long, too slow.

use std::{io::Write, thread, time::Instant};

use serde_json::{Value, json};

use super::client::{Answer, Server, head, model};

fn serve(arguments: &[&str]) -> Server {
    Server::start(&[&model("single_label")], arguments)
}

#[test]
fn too_much_is_413_with_the_limit_and_its_flag() {
    let server = serve(&["--max-body-bytes", "4000", "--max-client-batch-size", "3"]);
    let large = json!({"inputs": "a".repeat(5000)}).to_string();
    let refused = server.post_bytes("/embed", large.as_bytes());
    assert!(refused.refused(413, "validation").contains("--max-body-bytes"));
    assert_eq!(refused.headers["connection"], "close");
    // In parts, without saying how much it will be; and much more than that.
    for parts in [2, 3000] {
        let mut stream = server.connect();
        let head = "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let part = format!("1000\r\n{}\r\n", "a".repeat(4096));
        for _ in 0..parts {
            // It may be cut off.
            let _ = stream.write_all(part.as_bytes());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        Answer::read(&mut stream).unwrap().refused(413, "validation");
    }
    // A client that asks first is told before it sends.
    let mut stream = server.connect();
    let asking = head(
        "POST",
        "/embed",
        "Content-Type: application/json\r\nExpect: 100-continue\r\n",
        9_000_000_000,
    );
    stream.write_all(asking.as_bytes()).unwrap();
    Answer::read(&mut stream).unwrap().refused(413, "validation");

    let four = ["a"; 4];
    for (path, body) in [
        ("/embed", json!({"inputs": four})),
        ("/v1/embeddings", json!({"input": four})),
        ("/predict", json!({"inputs": four.map(|text| [text])})),
    ] {
        let message = server.post(path, &body).refused(413, "validation");
        assert!(
            message.contains("4 entries") && message.contains("--max-client-batch-size"),
            "{message}"
        );
    }
    server.post("/embed", &json!({"inputs": []})).refused(400, "empty");
    server.post("/predict", &json!({"inputs": []})).refused(400, "empty");

    let server = Server::start(&[&model("qa")], &["--max-client-batch-size", "3"]);
    let long = json!({"question": "who works?", "context": "anna works. ".repeat(100)});
    assert!(server.post("/qa", &long).refused(413, "validation").contains("window"));
    let asked = json!({"question": "who ".repeat(60), "context": "anna ".repeat(60)});
    assert!(server.post("/qa", &asked).refused(422, "tokenizer").contains("shorten the question"));
}

/// Requests that are small, and whose work or answer would not be.
#[test]
fn what_a_request_makes_of_its_bytes_is_bounded() {
    let folders = ["fill_mask", "one_label", "choice", "tokens", "qa"].map(model);
    let folders: Vec<_> = folders.iter().map(std::path::PathBuf::as_path).collect();
    let limits = ["--max-body-bytes", "20000", "--max-candidates", "10"];
    let server = Server::start(&folders, &limits);
    let refused = |path: &str, body: Value, parts: &[&str]| {
        let message = server.post(path, &body).refused(413, "validation");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    };
    let two = "[MASK] and [MASK]";
    server.post("/fill-mask", &json!({"inputs": two, "top_k": 5})).ok();
    let parts = ["12 candidates", "10 are", "--max-candidates"];
    refused("/fill-mask", json!({"inputs": two, "top_k": 6}), &parts);
    refused("/fill-mask", json!({"inputs": [two, "[MASK]"], "top_k": 4}), &parts);

    let (long, five) = ("anna ".repeat(1000), ["a"; 5]);
    let parts = ["25000 bytes", "20000 are", "--max-body-bytes"];
    for (model, truncate) in [("one_label", true), ("choice", true), ("choice", false)] {
        let body = json!({"query": long, "texts": five, "model": model, "truncate": truncate});
        refused("/rerank", body, &[&parts[..], &["`query`"]].concat());
    }
    let body = json!({"prompt": long, "choices": five, "truncate": true});
    refused("/choice", body, &[&parts[..], &["`prompt`"]].concat());
    let body = json!({"prompt": long, "choices": five[..2], "truncate": true});
    server.post("/choice", &body).ok();

    let labels = vec!["O"; 1001];
    refused("/tokens", json!({"inputs": "a", "ignore_labels": labels}), &["1001", "1000"]);
    let body = json!({"question": "who works?", "context": "a ".repeat(8000)});
    refused("/qa", body, &["windows", "128 rows", "--max-client-batch-size"]);
}

#[test]
fn texts_that_are_too_long_are_cut_only_if_asked() {
    let server = serve(&[]);
    let long = "the river ".repeat(30);
    let message =
        server.post("/predict", &json!({"inputs": [["a"], [long]]})).refused(413, "validation");
    for part in ["input `1`", "62 tokens", "reads 48", "truncate"] {
        assert!(message.contains(part), "{message}");
    }
    server.post("/v1/embeddings", &json!({"input": long})).refused(413, "validation");
    for _ in 0..2 {
        server.post("/embed", &json!({"inputs": [long, "a"], "truncate": true})).ok();
    }
    assert_eq!(server.metric("nystromformer_truncated_inputs_total{model=\"single_label\"}"), 2.0);
    let log = server.log();
    assert_eq!(log.matches("cut").count(), 1, "{log}");
    assert!(!log.contains("river"), "{log}");

    let server = Server::start(&[&model("fill_mask")], &[]);
    let body = json!({"inputs": format!("{long} [MASK]")});
    let message = server.post("/fill-mask", &body).refused(413, "validation");
    assert!(message.contains("48") && !message.contains("river"), "{message}");
    let message =
        server.post("/fill-mask", &json!({"inputs": "the river"})).refused(422, "validation");
    assert!(message.contains("[MASK]") && !message.contains("river"), "{message}");
}

/// Clients ask until one is refused; all others are answered.
#[test]
fn a_full_queue_is_429_and_the_client_may_come_again() {
    let server =
        serve(&["--max-queue", "8", "--max-client-batch-size", "8", "--max-batch-requests", "1"]);
    let body = json!({"inputs": vec!["anna lives in paris"; 8]});
    let expected = server.post("/embed", &body).ok();
    let since = Instant::now();
    let mut refused = 0;
    while refused == 0 {
        assert!(since.elapsed().as_secs() < 100, "nothing was refused");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asked: Vec<_> =
                (0..16).map(|_| scope.spawn(|| server.post("/embed", &body))).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        for answer in answers {
            if answer.status == 429 {
                refused += 1;
                assert!(answer.refused(429, "overloaded").contains("--max-queue"));
                assert_eq!(answer.headers["retry-after"], "1");
            } else {
                assert_eq!(answer.ok(), expected);
            }
        }
    }
    server.post("/embed", &body).ok();
    assert!(server.metric("nystromformer_requests_total{route=\"/embed\",code=\"429\"}") > 0.0);
}

#[test]
fn slow_clients_are_cut_off_and_others_are_not() {
    let server = serve(&["--header-timeout", "0.3", "--body-timeout", "0.3"]);
    let mut slow_head = server.connect();
    slow_head.write_all(b"POST /embed HTTP/1.1\r\nHost").unwrap();
    let mut slow_body = server.connect();
    let head = head("POST", "/embed", "Content-Type: application/json\r\n", 20);
    slow_body.write_all(format!("{head}{{\"inputs\"").as_bytes()).unwrap();
    let mut silent = server.connect();
    assert!(
        Answer::read(&mut slow_head).unwrap().refused(408, "timeout").contains("--header-timeout")
    );
    assert!(
        Answer::read(&mut slow_body).unwrap().refused(408, "timeout").contains("--body-timeout")
    );
    assert!(Answer::read(&mut silent).is_none());
    server.post("/embed", &json!({"inputs": "a"})).ok();
}

#[test]
fn an_answer_that_takes_too_long_is_504_and_connections_beyond_the_most_503() {
    let server = serve(&["--request-timeout", "0.000001", "--max-connections", "2"]);
    // More than a million letters are not tokenized in a microsecond.
    let long = json!({"inputs": "the river ".repeat(120_000), "truncate": true});
    let late = server.post("/embed", &long).refused(504, "timeout");
    assert!(late.contains("--request-timeout"), "{late}");
    let held = [server.connect(), server.connect()];
    let since = Instant::now();
    loop {
        assert!(since.elapsed().as_secs() < 100, "nothing was refused");
        let mut third = server.connect();
        if let Some(answer) = Answer::read_after_request(&mut third)
            && answer.status == 503
        {
            answer.refused(503, "overloaded");
            break;
        }
    }
    drop(held);
}

#[test]
fn work_of_a_client_that_hangs_up_is_not_done() {
    let server = serve(&[]);
    let body = json!({"inputs": "a"}).to_string();
    let head = head("POST", "/embed", "Content-Type: application/json\r\n", body.len());
    for _ in 0..50 {
        let mut stream = server.connect();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        drop(stream);
    }
    server.post("/embed", &json!({"inputs": "a"})).ok();
    crate::fixture::wait_until("an empty queue", || {
        server.metric("nystromformer_queue_rows{model=\"single_label\"}") == 0.0
            && server.metric("nystromformer_connections") == 1.0
    });
    let info: Value = server.get("/info").ok();
    assert_eq!(info["limits"]["max_queue"], 1024);
}
