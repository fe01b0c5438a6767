//! Every class of transformers 4.56.2, in both of its attentions, padded and not: outputs and losses.

use std::fs;

use burn::tensor::Device;
use nystromformer::{Architecture, Head, Model};
use nystromformer_interop::load_model;

use crate::batch::{Batch, fixture, relative_error, values};

/// Of the largest output; the issue of rounding in 32 bits with weights of 0.3.
const TOLERANCE: f32 = 2e-5;

const HEADS: [(&str, Architecture); 8] = [
    ("base_model", Architecture::Base),
    ("masked_lm", Architecture::MaskedLm),
    ("sequence_regression", Architecture::SequenceClassification),
    ("sequence_single_label", Architecture::SequenceClassification),
    ("sequence_multi_label", Architecture::SequenceClassification),
    ("multiple_choice", Architecture::MultipleChoice),
    ("token_classification", Architecture::TokenClassification),
    ("question_answering", Architecture::QuestionAnswering),
];

/// Outputs by transformers' names.
fn outputs(model: &Model, batch: &Batch) -> Vec<(&'static str, Vec<f32>)> {
    let num_choices = batch.shape("input_ids")[1];
    let outputs = model.outputs(batch.input(), num_choices).unwrap().into_iter();
    outputs.map(|output| (output.name, values(output.values))).collect()
}

#[test]
fn every_head_computes_what_transformers_computes() {
    let mut worst = 0.0f32;
    for (head, architecture) in HEADS {
        for attention in ["nystrom", "full"] {
            let folder = fixture(&format!("heads/{head}_{attention}"));
            let model = load_model(&folder, &Device::flex()).unwrap();
            assert_eq!(model.architecture(), architecture);
            let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
            for prefix in ["padded", "unpadded"] {
                let batch = Batch::read(&bytes, prefix);
                for (name, found) in outputs(&model, &batch) {
                    let error = relative_error(&found, &batch.floats(name), &[]);
                    assert!(error <= TOLERANCE, "{head} {attention} {prefix} {name}: {error:e}");
                    worst = worst.max(error);
                }
                if architecture != Architecture::Base {
                    let error = (loss(&model, &batch) / batch.floats("loss")[0] - 1.0).abs();
                    assert!(error <= TOLERANCE, "{head} {attention} {prefix} loss: {error:e}");
                    worst = worst.max(error);
                }
            }
        }
    }
    println!("worst relative difference {worst:e}");
}

/// The mean loss, as the trainer forms it.
fn loss(model: &Model, batch: &Batch) -> f32 {
    let losses = model.losses(batch.input(), batch.targets()).unwrap();
    losses
        .terms
        .into_iter()
        .enumerate()
        .map(|(index, term)| {
            let losses = values(term.losses);
            let count = if batch.has("start_positions") {
                let name = ["start_positions", "end_positions"][index];
                let seq_len = *batch.shape("input_ids").last().unwrap() as i64;
                batch.ints(name).iter().filter(|place| **place < seq_len).count()
            } else {
                losses.len()
            };
            term.weight as f32 * losses.iter().sum::<f32>() / count as f32
        })
        .sum()
}
