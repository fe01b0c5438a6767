//! `export --format onnx`: the files of a run's export, and what is refused.

use std::{fs, process::Command};

use crate::fixture::{Fixture, command, finish, read_json};

fn export(fixture: &Fixture, model: &str, output: &str, further: &[&str]) -> Command {
    let mut export = command("export");
    export.args(["--format", "onnx", "--model", &fixture.text(model)]);
    export.args(["--output", &fixture.text(output)]).args(further);
    export
}

#[test]
fn a_run_is_exported_with_its_tokenizer_in_every_precision() {
    let fixture = Fixture::new();
    fixture.trained("run");
    let further = ["--dtype", "f16", "--quantize", "int8"];
    let said = finish(export(&fixture, "run", "exported", &further)).succeeded();
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("note: Inputs may have any length up to "), "{}", said.stderr);
    let files = [
        "config.json",
        "onnx",
        "onnx/model.onnx",
        "onnx/model_fp16.onnx",
        "onnx/model_quantized.onnx",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(fixture.listing("exported"), files);
    let architecture = |folder: &str| {
        read_json(&fixture.path(folder).join("config.json"))["architectures"][0].clone()
    };
    assert_eq!(architecture("exported"), "NystromformerForMaskedLM");
    let size = |name: &str| fs::metadata(fixture.path("exported/onnx").join(name)).unwrap().len();
    assert!(size("model_fp16.onnx") < size("model.onnx"));

    let further = ["--without-head", "--pooling", "mean"];
    finish(export(&fixture, "run", "encoder", &further)).succeeded();
    assert_eq!(architecture("encoder"), "NystromformerModel");
    let pooling = read_json(&fixture.path("encoder/1_Pooling/config.json"));
    assert_eq!(pooling["pooling_mode_mean_tokens"], true);
}

#[test]
fn what_a_format_has_not_is_refused() {
    let fixture = Fixture::new();
    fixture.trained("run");
    for (arguments, parts) in [
        (&["--dtype", "bf16"][..], &["`--dtype bf16`", "f16 or f32"][..]),
        (&["--seq-len", "64"], &["`--seq-len`", "any length"]),
        (&["--pooling", "cls"], &["`--pooling=cls`", "`--without-head`"]),
    ] {
        let message = finish(export(&fixture, "run", "exported", arguments)).refused(2);
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    for argument in [&["--quantize", "int8"][..], &["--without-head"], &["--pooling", "mean"]] {
        for format in ["hf", "original"] {
            let mut export = command("export");
            export.args(["--format", format, "--model", &fixture.text("run")]);
            export.args(["--output", &fixture.text("exported")]).args(argument);
            let message = finish(export).refused(2);
            assert!(message.contains("add `--format onnx`"), "{message}");
        }
    }
    let message = finish(export(&fixture, "nowhere", "exported", &[])).refused(4);
    assert!(message.contains("nowhere"), "{message}");
    assert!(!fixture.path("exported").exists());
    fs::write(fixture.path("exported"), "").unwrap();
    finish(export(&fixture, "run", "exported", &[])).refused(2);
}
