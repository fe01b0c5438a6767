//! A GPU without room for a tensor ends every command with exit code 6 and one line that says what to lower. On Mesa's software Vulkan adapter, which refuses a
//! tensor above a limit without having looked for its memory: nothing large is computed here.

use std::{env, fs, process::Command};

use safetensors::{Dtype, tensor::TensorView};

use crate::fixture::{Fixture, command, finish};

/// Tokens of a row whose exact attention has scores of 8.6 GB in two heads.
const LONG: usize = 32_768;

/// Whether there is such a device to test on.
fn is_there() -> bool {
    env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() == Ok("wgpu")
}

/// Asserts the exit code and that there is one line, with what to lower in it.
fn has_no_room(command: Command, advice: &str) {
    let told = finish(command).refused(6);
    assert!(told.contains("out of memory: a tensor of `") && told.contains("GB`"), "{told}");
    assert!(told.contains(advice), "{told}");
}

#[test]
fn attention_that_is_timed_has_no_room() {
    if !is_there() {
        return;
    }
    let mut bench = command("bench");
    bench.args(["attention", "--kind", "softmax", "--device", "wgpu", "--steps", "1"]);
    bench.args(["--heads", "2", "--head-dim", "16", "--seq-len", &LONG.to_string()]);
    has_no_room(bench, "lower `--batch` and `--seq-len`");
}

#[test]
fn training_evaluation_and_predictions_have_no_room() {
    if !is_there() {
        return;
    }
    let fixture = Fixture::new();
    let words = "the cat sees the dog and the hen hears the fox all day. ".repeat(LONG / 4);
    fs::write(fixture.path("corpus.txt"), format!("{words}\n").repeat(3)).unwrap();
    let positions = format!("model.max_position_embeddings={LONG}");
    let exact = ["model.attention=softmax", positions.as_str(), "data.document=line"];
    let mut short = fixture.train("run", &exact);
    short.args(["--set", "trainer.max_steps=1"]);
    finish(short).succeeded();
    let seq_len = format!("data.seq_len={LONG}");
    let long = ["device=wgpu", seq_len.as_str(), "trainer.self_check=false"];
    has_no_room(
        fixture.train("long", &[&exact[..], &long[..]].concat()),
        "`trainer.micro_batch_size`",
    );
    let run = fixture.text("run");
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &run]).args(long.iter().flat_map(|set| ["--set", set]));
    has_no_room(evaluate, "`data.seq_len`");
    let ids: Vec<u8> = (0..LONG).flat_map(|_| 7_i64.to_le_bytes()).collect();
    let ids = TensorView::new(Dtype::I64, vec![1, LONG], &ids).unwrap();
    let input = fixture.path("input.safetensors");
    safetensors::serialize_to_file([("input_ids", ids)], None, &input).unwrap();
    let mut features = command("predict");
    features.args(["features", "--model", &run, "--device", "wgpu", "--input"]).arg(input);
    features.arg("--output").arg(fixture.path("output.safetensors"));
    has_no_room(features, "fewer rows");
    assert!(!fixture.path("output.safetensors").exists());
}

#[test]
fn a_tensor_beyond_the_device_is_refused_before_the_first_step() {
    if !is_there() {
        return;
    }
    let fixture = Fixture::new();
    let large = [
        "device=wgpu",
        "trainer.self_check=false",
        "trainer.batch_size=1000000",
        "trainer.micro_batch_size=1000000",
    ];
    let told = finish(fixture.train("run", &large)).refused(6);
    assert!(told.contains("it takes none beyond") && told.contains("now `1000000`"), "{told}");
}
