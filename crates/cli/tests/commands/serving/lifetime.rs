//! How a server starts and ends.

use std::{fs, io::Write, net::TcpStream, path::Path};

use serde_json::json;

use super::client::{Answer, Server, head, model};
use crate::fixture::{command, finish, signal, wait_until};

/// A request of which a part is not sent yet.
fn half_of_a_request(server: &Server) -> (TcpStream, &'static str) {
    let (first, rest) = ("{\"inputs\": ", "\"anna\"}");
    let headers = "Content-Type: application/json\r\n";
    let head = head("POST", "/predict", headers, first.len() + rest.len());
    let mut stream = server.connect();
    stream.write_all(format!("{head}{first}").as_bytes()).unwrap();
    (stream, rest)
}

#[test]
fn sigterm_ends_it_when_what_is_accepted_is_answered() {
    let mut server = Server::start(&[&model("single_label")], &[]);
    let expected = server.post("/predict", &json!({"inputs": "anna"}));
    let (mut begun, rest) = half_of_a_request(&server);
    // Between two requests, and before the first: neither is waited for.
    let mut idle = server.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _silent = server.connect();
    wait_until("all connections", || server.metric("nystromformer_connections") >= 4.0);
    signal(&server.child, "TERM");
    wait_until("the end of accepting", || TcpStream::connect(&server.address).is_err());
    assert!(server.child.try_wait().unwrap().is_none(), "a request is not answered yet");
    begun.write_all(rest.as_bytes()).unwrap();
    let answer = Answer::read(&mut begun).unwrap();
    assert_eq!((answer.status, &answer.body), (200, &expected.body));
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(server.log().contains("answering what is accepted"), "{}", server.log());
}

/// A stopped process sees neither the connections that the system accepts for it nor what comes on those that it has, until it sees
/// the signal too.
#[test]
fn what_lies_in_sockets_when_sigterm_comes_is_answered() {
    let mut server = Server::start(&[&model("single_label")], &[]);
    let mut connected: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    wait_until("all connections", || server.metric("nystromformer_connections") >= 9.0);
    signal(&server.child, "STOP");
    connected.extend((0..8).map(|_| server.connect()));
    let body = "{\"inputs\": \"anna\"}";
    let head = head("POST", "/predict", "Content-Type: application/json\r\n", body.len());
    for stream in &mut connected {
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
    signal(&server.child, "TERM");
    signal(&server.child, "CONT");
    for (number, stream) in connected.iter_mut().enumerate() {
        let answer = Answer::read(stream);
        assert_eq!(answer.map(|answer| answer.status), Some(200), "connection {number}");
    }
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_sigint_does_not_wait() {
    let mut server = Server::start(&[&model("single_label")], &[]);
    let (_begun, _) = half_of_a_request(&server);
    wait_until("the connection", || server.metric("nystromformer_connections") >= 2.0);
    signal(&server.child, "INT");
    wait_until("the first signal", || server.log().contains("answering what is accepted"));
    signal(&server.child, "INT");
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_line_at_the_start_says_what_is_served_and_within_which_limits() {
    let server = Server::start(&[&model("fill_mask")], &["--max-queue", "200"]);
    let log = server.log();
    for part in [
        "`fill_mask` (NystromformerForMaskedLM) /fill-mask",
        "200 rows waiting (--max-queue)",
        "--max-body-bytes",
    ] {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(log.lines().count(), 1, "{log}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let serve = |models: &[&Path], arguments: &[&str]| {
        let mut serve = command("serve");
        for model in models {
            serve.arg("--model").arg(model);
        }
        if !arguments.contains(&"--port") {
            serve.args(["--port", "0"]);
        }
        serve.args(arguments);
        finish(serve)
    };
    let good = model("single_label");
    let running = Server::start(&[&good], &[]);
    let port = running.address.rsplit(':').next().unwrap();
    let in_use = serve(&[&good], &["--port", port]).refused(7);
    assert!(in_use.contains(port) && in_use.contains("--port"), "{in_use}");

    serve(&[Path::new("nowhere")], &[]).refused(4);
    let scratch = tempfile::tempdir().unwrap();
    serve(&[scratch.path()], &[]).refused(4);
    for entry in ["config.json", "model.safetensors"] {
        fs::copy(good.join(entry), scratch.path().join(entry)).unwrap();
    }
    assert!(serve(&[scratch.path()], &[]).refused(4).contains("no usable tokenizer"));

    let twice = serve(&[&good, &good], &[]).refused(2);
    assert!(twice.contains("two models are called `single_label`"), "{twice}");
    serve(&[], &[]).refused(2);
    serve(&[&good], &["--max-queue", "3"]).refused(2);
    for flag in ["--header-timeout", "--body-timeout", "--write-timeout", "--request-timeout"] {
        for time in ["0", "1e19"] {
            serve(&[&good], &[flag, time]).refused(2);
        }
    }
    serve(&[&good], &["--batch-wait-ms", "18446744073709551615"]).refused(2);
    for no_origin in ["a\u{7f}", "example.org", "https://example.org/"] {
        serve(&[&good], &["--cors-origin", no_origin]).refused(2);
    }
}
