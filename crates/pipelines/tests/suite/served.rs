//! Rows of many askers: whatever is computed beside a row, its bits stay.

use std::{fs, path::Path};

use burn::tensor::Device;
use nystromformer::{
    AttentionKind, ModelClass, NystromformerConfig, NystromformerForSequenceClassification,
};
use nystromformer_interop::{read_config, save};
use nystromformer_pipelines::{
    Aggregation, AttentionMaps, BatchLimits, Choices, FeatureExtraction, FeaturePooling, FillMask,
    MultipleChoice, Pipeline, Question, QuestionAnswering, Sentence, Served, Text,
    TextClassification, TextPair, TokenClassification, TokenRow, question_answering::Options,
};

use crate::{fixtures::folder, streams::paper};

/// Texts of many lengths; `mask` stands in each.
fn texts(mask: &str) -> Vec<String> {
    let words = ["anna ", "Paris ", "trainer ", "😀 ", "naïve ", "film. "];
    (0..24)
        .map(|number| {
            let words = (0..number * 7 % 40).map(|word| words[(word * 5 + number) % words.len()]);
            format!("{}{mask}", words.collect::<String>())
        })
        .collect()
}

/// The answers, as text, to requests whose rows are computed in batches of these limits.
fn answers<P: Pipeline>(
    served: &Served<P>,
    requests: &[P::Request],
    limits: BatchLimits,
) -> Vec<String>
where
    P::Request: Clone,
{
    let all: Vec<Vec<TokenRow>> =
        requests.iter().map(|request| served.rows(request).unwrap()).collect();
    let rows: Vec<&TokenRow> = all.iter().flatten().collect();
    let mut scores: Vec<Option<P::Scores>> = rows.iter().map(|_| None).collect();
    for batch in served.batches(&rows, limits) {
        let batch_rows: Vec<&TokenRow> = batch.iter().map(|&row| rows[row]).collect();
        for (row, found) in batch.into_iter().zip(served.scores(&batch_rows).unwrap()) {
            assert!(scores[row].replace(found).is_none(), "a row is in one batch");
        }
    }
    let mut scores = scores.into_iter().map(Option::unwrap);
    let answer = |(request, rows): (&P::Request, Vec<TokenRow>)| {
        let rows = rows.into_iter().map(|row| (row, scores.next().unwrap())).collect();
        let answer = served.pipeline().postprocess(request.clone(), rows).unwrap();
        // Numbers are written such that their bits can be read back.
        serde_json::to_string(&answer).unwrap()
    };
    requests.iter().zip(all).map(answer).collect()
}

/// Asserts that each request's answer is the same alone and in several companies.
fn same_bits<P: Pipeline>(pipeline: P, requests: Vec<P::Request>, what: &str)
where
    P::Request: Clone,
{
    let served = Served::new(pipeline);
    let generous = BatchLimits { rows: 64, tokens: 1 << 20 };
    let alone: Vec<String> = requests
        .iter()
        .flat_map(|one| answers(&served, std::slice::from_ref(one), generous))
        .collect();
    for limits in
        [generous, BatchLimits { rows: 7, ..generous }, BatchLimits { rows: 64, tokens: 70 }]
    {
        assert_eq!(answers(&served, &requests, limits), alone, "{what}, {limits:?}");
    }
    let every_third: Vec<P::Request> = requests.iter().step_by(3).cloned().collect();
    let expected: Vec<&String> = alone.iter().step_by(3).collect();
    assert!(answers(&served, &every_third, generous).iter().eq(expected), "{what}, every third");
}

/// In whichever folder the models lie.
fn every_head_has_the_same_bits(folder: impl Fn(&str) -> std::path::PathBuf, what: &str) {
    let device = Device::flex();
    let filler = FillMask::load(&folder("fill_mask"), &device).unwrap();
    let masked = texts(" [MASK]").into_iter().map(|text| Text { text });
    // A text of too many tokens is refused.
    let masked = masked.filter(|text| filler.preprocess(text).is_ok()).collect();
    same_bits(filler, masked, &format!("fill-mask, {what}"));
    let plain = || texts("");
    let pairs = || {
        let pair = |(number, text): (usize, String)| TextPair {
            text,
            text_pair: (number % 3 == 0).then(|| "Anna lives.".to_owned()),
        };
        plain().into_iter().enumerate().map(pair).collect::<Vec<_>>()
    };
    let classifier = TextClassification::load(&folder("single_label"), &device).unwrap();
    let features = FeatureExtraction::sharing(&classifier, FeaturePooling::Mean);
    let maps = AttentionMaps::sharing(&classifier);
    let sentences = plain().into_iter().map(|text| Text { text }).collect();
    same_bits(features, sentences, &format!("features, {what}"));
    same_bits(maps, pairs(), &format!("attention, {what}"));
    same_bits(classifier, pairs(), &format!("classes, {what}"));
    let tagger =
        TokenClassification::load(&folder("tokens"), &device, Aggregation::Simple).unwrap();
    same_bits(
        tagger,
        plain().into_iter().map(Sentence::Text).collect(),
        &format!("tokens, {what}"),
    );
    let answerer = QuestionAnswering::load(&folder("qa"), &device, Options::default()).unwrap();
    let question = |context| Question { question: "Who works?".to_owned(), context, id: None };
    let questions = plain().into_iter().filter(|text| !text.is_empty()).map(question).collect();
    same_bits(answerer, questions, &format!("answers, {what}"));
    let chooser = MultipleChoice::load(&folder("choice"), &device).unwrap();
    let texts = plain();
    let of =
        |texts: &[String]| Choices { prompt: "Anna lives in".to_owned(), choices: texts.to_vec() };
    let choices = texts.chunks(3).map(of).collect();
    same_bits(chooser, choices, &format!("choices, {what}"));
}

#[test]
fn no_bit_depends_on_the_batch_under_transformers_semantics() {
    every_head_has_the_same_bits(folder, "as transformers");
}

#[test]
fn no_bit_depends_on_the_batch_under_the_papers_semantics() {
    for attention in ["nystrom", "softmax"] {
        let scratch = tempfile::tempdir().unwrap();
        let copy = |name: &str| {
            let copy = scratch.path().join(name);
            if !copy.exists() {
                fs::create_dir(&copy).unwrap();
                paper(name, attention, &copy);
            }
            copy
        };
        every_head_has_the_same_bits(copy, attention);
    }
}

/// A classifier of fresh weights that reads long rows, with the tokenizer of another.
fn long_model(folder_of_tokenizer: &Path, kind: AttentionKind, into: &Path) {
    let config: NystromformerConfig = read_config(folder_of_tokenizer).unwrap().with(|config| {
        config.embeddings.max_position_embeddings = 2400;
        config.attention.kind = kind;
        config.attention.nystrom.num_landmarks = 8;
    });
    let model = NystromformerForSequenceClassification::init(&config, &Device::flex()).unwrap();
    save(&model, into).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        fs::copy(folder_of_tokenizer.join(name), into.join(name)).unwrap();
    }
}

/// From 2,048 tokens on a kernel splits the work of a row where there are few rows.
#[test]
fn no_bit_of_a_long_text_depends_on_the_batch() {
    for kind in [AttentionKind::Nystrom, AttentionKind::Softmax] {
        let scratch = tempfile::tempdir().unwrap();
        let (tokenizer, model) = (scratch.path().join("tokenizer"), scratch.path().join("model"));
        fs::create_dir(&tokenizer).unwrap();
        paper("single_label", kind.name(), &tokenizer);
        long_model(&tokenizer, kind, &model);
        let pipeline = TextClassification::load(&model, &Device::flex()).unwrap();
        let lengths = [2300, 5, 2060, 2300, 40, 1, 1100];
        let texts = lengths.map(|length| TextPair::from("anna ".repeat(length).as_str()));
        let rows = Served::new(TextClassification::load(&model, &Device::flex()).unwrap());
        assert!(rows.rows(&texts[2]).unwrap()[0].length >= 2048);
        same_bits(pipeline, texts.to_vec(), kind.name());
    }
}
