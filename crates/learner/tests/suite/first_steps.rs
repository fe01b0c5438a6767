//! The first fifty steps of fine-tuning beside transformers' heads under PyTorch, from the same files
//! (`tools/reference/generate_first_steps.py`): readers, tokens, windows, labels, padding, loss and updates are one chain.

#![expect(clippy::print_stdout, reason = "the largest differences, shown by --nocapture")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_learner::trainer::RunRequest;

/// Of a loss, relative. Rounding moves PyTorch's own by up to 5e-5.
const TOLERANCE: f64 = 1e-4;
const STEPS: usize = 50;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/first_steps")
}

/// The losses of a task's first steps, from the file `train.EXTENSION` of its folder.
fn losses(task: &str, extension: &str, further: &str) -> Vec<f64> {
    let directory = tempfile::tempdir().unwrap();
    let folder = fixtures().join(task);
    for split in ["train", "validation"] {
        let name = format!("{split}.{extension}");
        fs::copy(folder.join(format!("train.{extension}")), directory.path().join(name)).unwrap();
    }
    let config = format!(
        "[model]\ninit_from = \"{}\"\nsemantics = \"hf\"\n\
         [tokenizer]\npath = \"{}\"\n\
         [task]\nname = \"{task}\"\npath = \"{}\"\n{further}\n\
         [data]\nseq_len = 32\nshuffle = false\n\
         [optimizer]\nlearning_rate = 5e-4\nepsilon = 1e-8\nweight_decay = 0.01\nno_decay_on_bias_and_norm = true\n\
         [schedule]\nkind = \"linear\"\n\
         [trainer]\nmax_steps = {STEPS}\nbatch_size = 4\nmicro_batch_size = 4\nmax_grad_norm = 1.0\n",
        folder.display(),
        fixtures().display(),
        directory.path().display(),
    );
    let path = directory.path().join("config.toml");
    fs::write(&path, config).unwrap();
    let request = RunRequest {
        config: path,
        overrides: Vec::new(),
        run_dir: Some(directory.path().join("run")),
        resume: false,
        tasks: crate::known_tasks(),
    };
    crate::first_losses(&request, STEPS)
}

#[test]
fn fifty_steps_of_each_task_follow_transformers() {
    let expected = fs::read_to_string(fixtures().join("losses.json")).unwrap();
    let expected: BTreeMap<String, serde_json::Value> = serde_json::from_str(&expected).unwrap();
    for (task, extension, further) in
        [("ner", "jsonl", ""), ("qa", "json", "doc_stride = 6"), ("choice", "jsonl", "")]
    {
        let found = losses(task, extension, further);
        let expected = expected[task].as_array().unwrap();
        assert_eq!(expected.len(), STEPS);
        let mut worst: f64 = 0.0;
        for (step, (loss, expected)) in found.into_iter().zip(expected).enumerate() {
            let expected = expected.as_f64().unwrap();
            let error = (loss / expected - 1.0).abs();
            assert!(error < TOLERANCE, "{task}, step {}: {loss} for {expected}", step + 1);
            worst = worst.max(error);
        }
        println!("{task}: largest difference {worst:.1e}");
    }
}
