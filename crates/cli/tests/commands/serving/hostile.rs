//! Bytes that are no requests, and requests that are none that can be answered.

use serde_json::json;

use super::client::{Server, head, model};

#[test]
fn null_is_a_key_left_out() {
    let names = ["fill_mask", "single_label", "choice", "tokens", "qa"];
    let folders = names.map(model);
    let folders: Vec<_> = folders.iter().map(std::path::PathBuf::as_path).collect();
    let server = Server::start(&folders, &[]);
    let one = json!({"inputs": "anna lives in [MASK]"});
    let ranked = json!({"query": "anna", "texts": ["a", "b"]});
    let chosen = json!({"prompt": "anna", "choices": ["a", "b"]});
    let asked = json!({"question": "who?", "context": "anna works."});
    for (path, model, body, keys) in [
        ("/embed", "tokens", &one, &["truncate", "normalize", "dimensions"][..]),
        ("/predict", "single_label", &one, &["truncate", "raw_scores"]),
        ("/rerank", "choice", &ranked, &["truncate", "raw_scores", "return_text"]),
        ("/choice", "choice", &chosen, &["truncate"]),
        ("/fill-mask", "fill_mask", &one, &["top_k"]),
        ("/tokens", "tokens", &one, &["truncate", "aggregation_strategy", "ignore_labels"]),
        ("/qa", "qa", &asked, &["top_k", "max_answer_len", "handle_impossible_answer"]),
        ("/attention", "qa", &one, &["truncate", "layer"]),
        ("/v1/embeddings", "qa", &json!({"input": "anna"}), &["encoding_format", "user"]),
    ] {
        let mut body = body.clone();
        body["model"] = model.into();
        let expected = server.post(path, &body).ok();
        for key in keys {
            body[key] = serde_json::Value::Null;
        }
        assert_eq!(server.post(path, &body).ok(), expected, "{path}");
    }
}

#[test]
fn whatever_comes_is_refused_with_its_code_and_the_server_lives_on() {
    let server =
        Server::start(&[&model("single_label")], &["--header-timeout", "2", "--body-timeout", "2"]);
    let deep = |depth: usize| format!("{{\"inputs\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let (deep_list, deepest_list) = (deep(100), deep(100_000));
    let objects = format!("{{\"inputs\": {}", "{\"a\":".repeat(100_000));
    let posted: [(&[u8], u16, &str); 24] = [
        (b"", 400, "validation"),
        (b"{", 400, "validation"),
        (b"null", 422, "validation"),
        (b"[]", 422, "validation"),
        (b"{}", 422, "validation"),
        (b"{\"inputs\": 3}", 422, "validation"),
        (b"{\"inputs\": null}", 422, "validation"),
        (b"{\"inputs\": {\"a\": 1}}", 422, "validation"),
        (b"{\"inputs\": [\"a\", 3]}", 422, "validation"),
        (b"{\"inputs\": \"a\", \"inputs\": \"b\"}", 422, "validation"),
        (b"{\"inputs\": \"a\", \"input\": \"b\"}", 422, "validation"),
        (b"{\"inputs\": \"a\", \"truncate\": \"yes\"}", 422, "validation"),
        (b"{\"inputs\": \"a\", \"model\": 3}", 422, "validation"),
        (b"{\"inputs\": \"a\", \"model\": \"\"}", 404, "not_found"),
        (b"{\"inputs\": \"a\"} x", 400, "validation"),
        (b"{\"inputs\": \"\xff\xfe\"}", 400, "validation"),
        (b"{\"inputs\": \"\\ud800\"}", 400, "validation"),
        (b"{\"inputs\": \"\x00\"}", 400, "validation"),
        (b"\xef\xbb\xbf{\"inputs\": \"a\"}", 400, "validation"),
        (b"{\"inputs\": NaN}", 400, "validation"),
        (b"\x1f\x8b\x08\x00", 400, "validation"),
        (deep_list.as_bytes(), 422, "validation"),
        (deepest_list.as_bytes(), 400, "validation"),
        (objects.as_bytes(), 400, "validation"),
    ];
    for (body, code, kind) in posted {
        let answer = server.post_bytes("/embed", body);
        let message = answer.refused(code, kind);
        assert!(message.len() < 2000, "{message}");
    }
    // What is odd and no fault.
    for text in [
        "",
        "\0",
        "\u{feff}",
        "\u{202e}",
        "[CLS] [SEP] [PAD]",
        "\u{1f468}\u{200d}\u{1f469}",
        "\t\n\r ",
    ] {
        server.post("/embed", &json!({"inputs": text})).ok();
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let header = format!("Content-Type: {content_type}\r\n");
        server.asked("POST", "/embed", &header, b"{\"inputs\": \"a\"}").refused(415, "validation");
    }
    server.asked("POST", "/embed", "", b"{\"inputs\": \"a\"}").refused(415, "validation");
    server.asked("DELETE", "/embed", "", b"").refused(405, "validation");
    server.asked("FOO", "/embed", "", b"").refused(405, "validation");

    // What is no HTTP is answered by a code alone, or not at all.
    let long_head = format!("GET /health HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(200_000));
    let many_heads = format!("GET /health HTTP/1.1\r\n{}\r\n", "A: a\r\n".repeat(5000));
    let long_path = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(200_000));
    let two_lengths = "POST /embed HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    let bad_length = "POST /embed HTTP/1.1\r\nContent-Length: -3\r\n\r\n";
    let bad_chunk = "POST /embed HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for bytes in [
        &b"\r\n\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\xff\x00\xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long_head.as_bytes(),
        many_heads.as_bytes(),
        long_path.as_bytes(),
        two_lengths.as_bytes(),
        bad_length.as_bytes(),
        bad_chunk.as_bytes(),
    ] {
        let answer = server.answer_to(bytes);
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let is_refused = answer
            .as_ref()
            .is_none_or(|answer| (400..500).contains(&answer.status) || answer.status == 505);
        assert!(is_refused, "{start:?}: {answer:?}");
    }
    // Cut off in the middle of what it says.
    let cut =
        format!("{}{{\"inputs\"", head("POST", "/embed", "Content-Type: application/json\r\n", 50));
    assert!(server.answer_to(cut.as_bytes()).is_none_or(|answer| answer.status == 400));
    // A second request, which a proxy that believes the length would take for the first one's body.
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    let smuggled = format!(
        "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}GET /info HTTP/1.1\r\nHost: a\r\n\r\n",
        chunks.len()
    );
    let answer = server.answer_to(smuggled.as_bytes()).unwrap();
    assert!(answer.status == 400 || answer.status == 422, "{answer:?}");
    assert!(!answer.text().contains("HTTP/1.1"), "{answer:?}");

    server.get("/health");
    server.post("/embed", &json!({"inputs": "a"})).ok();
    let log = server.log();
    for word in ["internal fault", "panicked", "could not be"] {
        assert!(!log.contains(word), "{log}");
    }
}
