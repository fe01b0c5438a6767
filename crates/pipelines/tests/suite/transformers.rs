//! The same fields, strings and numbers as transformers' pipelines.

use std::num::NonZeroUsize;

use burn::tensor::Device;
use nystromformer_pipelines::{
    Aggregation, FeatureExtraction, FeaturePooling, FillMask, MultipleChoice, QuestionAnswering,
    TextClassification, TokenClassification, question_answering::Options,
};
use serde_json::Value;

use crate::fixtures::{assert_answers, cases, folder};

fn number(options: &Value, key: &str) -> Option<usize> {
    options.get(key).map(|value| value.as_u64().unwrap() as usize)
}

fn positive(options: &Value, key: &str) -> Option<NonZeroUsize> {
    number(options, key).map(|value| value.try_into().unwrap())
}

#[test]
fn fill_mask() {
    for case in cases("fill_mask") {
        let filler = FillMask::load(&folder("fill_mask"), &Device::flex()).unwrap();
        let filler = filler.with_top_k(number(&case.options, "top_k").unwrap());
        assert_answers(&filler, "fill_mask", &case);
    }
}

/// Softmax, sigmoid or nothing, by `problem_type` and the number of classes; `nystrom` reads padded rows of one
/// length.
#[test]
fn text_classification() {
    for name in ["single_label", "multi_label", "regression", "one_label", "nystrom"] {
        for case in cases(name) {
            let classifier = TextClassification::load(&folder(name), &Device::flex()).unwrap();
            let classifier = classifier.with_top_k(positive(&case.options, "top_k").unwrap());
            assert_answers(&classifier, name, &case);
        }
    }
}

/// Every aggregation, of words, of texts that are cut and of texts in windows; `tokens_bytes` has a tokenizer
/// that does not say where words begin.
#[test]
fn token_classification() {
    for name in ["tokens", "tokens_bytes"] {
        for case in cases(name) {
            let aggregation = match case.options["aggregation"].as_str().unwrap() {
                "none" => Aggregation::None,
                "simple" => Aggregation::Simple,
                "first" => Aggregation::First,
                "average" => Aggregation::Average,
                "max" => Aggregation::Max,
                other => panic!("`{other}` is no aggregation"),
            };
            let device = Device::flex();
            let mut tagger =
                TokenClassification::load(&folder(name), &device, aggregation).unwrap();
            if let Some(stride) = positive(&case.options, "stride") {
                tagger = tagger.with_stride(stride).unwrap();
            }
            if let Some(labels) = case.options.get("ignore_labels") {
                tagger = tagger.with_ignore_labels(serde_json::from_value(labels.clone()).unwrap());
            }
            assert_answers(&tagger, name, &case);
        }
    }
}

#[test]
fn question_answering() {
    for name in ["qa", "qa_nystrom"] {
        for case in cases(name) {
            let options = Options {
                top_k: positive(&case.options, "top_k").unwrap(),
                max_answer_len: positive(&case.options, "max_answer_len"),
                handle_impossible_answer: case
                    .options
                    .get("handle_impossible_answer")
                    .map(|_| true),
                max_seq_len: number(&case.options, "max_seq_len"),
                doc_stride: number(&case.options, "doc_stride"),
                max_windows: None,
            };
            let answerer =
                QuestionAnswering::load(&folder(name), &Device::flex(), options).unwrap();
            assert_answers(&answerer, name, &case);
        }
    }
}

#[test]
fn multiple_choice() {
    for case in cases("choice") {
        let chooser = MultipleChoice::load(&folder("choice"), &Device::flex()).unwrap();
        assert_answers(&chooser, "choice", &case);
    }
}

#[test]
fn feature_extraction() {
    for case in cases("features") {
        let pooling = match case.options["pooling"].as_str().unwrap() {
            "none" => FeaturePooling::None,
            "cls" => FeaturePooling::Cls,
            "mean" => FeaturePooling::Mean,
            other => panic!("`{other}` is no pooling"),
        };
        let extractor =
            FeatureExtraction::load(&folder("features"), &Device::flex(), pooling).unwrap();
        assert_answers(&extractor, "features", &case);
    }
}
