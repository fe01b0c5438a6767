//! Streams of requests: their order, their batches, and what is wrong within them.

use std::{fs, num::NonZeroUsize, path::Path};

use burn::tensor::Device;
use nystromformer_pipelines::{
    Aggregation, AnswerStream, AttentionMaps, Batching, Choices, FeatureExtraction, FeaturePooling,
    FillMask, LineForm, MultipleChoice, Pipeline, Placed, Question, QuestionAnswering,
    RequestOptions, Requests, Text, TextClassification, TextPair, TokenClassification,
    question_answering::Options,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{answers, assert_same, folder, requests};

/// A copy of a model of transformers' that computes the `paper` semantics, so that padding is harmless.
pub(crate) fn paper(name: &str, attention: &str, copy: &Path) {
    for entry in fs::read_dir(folder(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["semantics"] = json!("paper");
    config["attention"] = json!(attention);
    config["pinv_init"] = json!("exact");
    fs::write(path, config.to_string()).unwrap();
}

/// A text of words that the models know, or do not.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("anna"),
        Just("Paris"),
        Just("trainer"),
        Just("😀"),
        Just("naïve"),
        Just("."),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_depends_on_batch_or_neighbours(
        texts in prop::collection::vec(any_text(), 1..12),
        batch_size in 2usize..9,
        attention in prop_oneof![Just("nystrom"), Just("softmax")],
    ) {
        let lines: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
        let device = Device::flex();
        let copy = tempfile::tempdir().unwrap();

        paper("single_label", attention, copy.path());
        let classifier = TextClassification::load(copy.path(), &device).unwrap();
        compare(&classifier, &lines, batch_size);
        let pooled = FeatureExtraction::load(copy.path(), &device, FeaturePooling::Mean).unwrap();
        compare(&pooled, &lines, batch_size);
        let maps = AttentionMaps::load(copy.path(), &device, None).unwrap();
        compare(&maps, &lines, batch_size);

        paper("tokens", attention, copy.path());
        let tagger =
            TokenClassification::load(copy.path(), &device, Aggregation::Simple).unwrap();
        let tagger = tagger.with_stride(NonZeroUsize::new(4).unwrap()).unwrap();
        compare(&tagger, &lines, batch_size);
    }
}

/// Asserts that a batch's answers are those of each request alone, and come in the order of the requests.
fn compare<P: Pipeline>(pipeline: &P, lines: &[Value], batch_size: usize) {
    let together = answers(pipeline, lines, batch_size);
    assert_eq!(together.len(), lines.len());
    for (answer, line) in together.iter().zip(lines) {
        let alone = answers(pipeline, std::slice::from_ref(line), 1);
        assert_same(answer, &alone[0], &format!("batches of {batch_size}, {line}"));
    }
}

#[test]
fn a_map_has_a_weight_for_each_token_in_each_layer_and_head() {
    let (folder, device) = (folder("single_label"), Device::flex());
    let text = TextPair::from("anna saw the film");
    let all = AttentionMaps::load(&folder, &device, None).unwrap().answer(text.clone()).unwrap();
    let heads = all.attention[0].heads.len();
    assert_eq!(all.tokens[0], "[CLS]");
    for (number, layer) in all.attention.iter().enumerate() {
        assert_eq!((layer.layer, layer.heads.len()), (number, heads));
        assert!(layer.heads.iter().all(|head| head.len() == all.tokens.len()));
    }
    let last = all.attention.len() - 1;
    let one = AttentionMaps::load(&folder, &device, Some(last)).unwrap().answer(text).unwrap();
    assert_eq!(one.attention, all.attention[last..]);
    let message = AttentionMaps::load(&folder, &device, Some(last + 1)).unwrap_err().to_string();
    assert!(message.contains(&format!("layer `{}`", last + 1)), "{message}");
}

#[test]
fn answers_keep_the_order_over_many_windows() {
    let pipeline =
        FeatureExtraction::load(&folder("features"), &Device::flex(), FeaturePooling::Cls).unwrap();
    let words = ["anna ", "bob ", "paris ", "film ", "river "];
    let lines: Vec<Value> = (0..200)
        .map(|index| words[index % 5].repeat(1 + index * 7 % 11))
        .map(|text| json!({ "text": text }))
        .collect();
    // Windows of 64 requests.
    let found = answers(&pipeline, &lines, 2);
    assert_eq!(found.len(), lines.len());
    for index in [0, 1, 63, 64, 65, 127, 128, 199] {
        let alone = answers(&pipeline, &lines[index..=index], 1);
        assert_same(&found[index], &alone[0], &format!("line {index}"));
    }
}

#[test]
fn an_error_comes_after_the_answers_before_it_and_ends_the_stream() {
    let filler = FillMask::load(&folder("fill_mask"), &Device::flex()).unwrap();
    for batch_size in [1, 2, 8] {
        let lines =
            [json!({"text": "anna [MASK]"}), json!({"text": "none"}), json!({"text": "[MASK]"})];
        let batching = Batching::new(NonZeroUsize::new(batch_size).unwrap());
        let mut stream = AnswerStream::new(&filler, requests(&lines), batching);
        assert!(stream.next().unwrap().is_ok());
        let message = stream.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(":2: no mask in `none`"), "{message}");
        assert!(stream.next().is_none());

        let mut broken = requests::<Text>(&[json!({"text": "[MASK]"}), json!({"txt": ""})]);
        broken.extend(requests(&[json!({"text": "anna"})]));
        let mut stream = AnswerStream::new(&filler, broken, batching);
        assert!(stream.next().unwrap().is_ok());
        let message = stream.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(":2: missing field `text`"), "{message}");
        assert!(stream.next().is_none());
    }
}

#[test]
fn no_more_is_read_than_a_window_needs() {
    let classifier = TextClassification::load(&folder("single_label"), &Device::flex()).unwrap();
    let mut read = 0;
    let endless = std::iter::repeat_with(|| {
        read += 1;
        Ok(Placed::from(TextPair::from("Anna works.")))
    });
    let batching = Batching::new(NonZeroUsize::new(4).unwrap());
    assert_eq!(AnswerStream::new(&classifier, endless, batching).take(129).count(), 129);
    assert_eq!(read, 2 * 128);
}

#[test]
fn empty_choices_of_a_row_keep_their_places() {
    let chooser = MultipleChoice::load(&folder("choice"), &Device::flex()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("questions.csv");
    let rows = "anna works,,Paris.,,trainer.,\nanna works,Paris.,trainer.,,,\n";
    fs::write(&path, format!("prompt,choice0,choice1,choice2,choice3,choice4\n{rows}")).unwrap();
    let answers = |path: &Path| -> Vec<Value> {
        let options = RequestOptions::default();
        let requests = Requests::<Choices>::open(path, LineForm::Text, &options).unwrap();
        let batching = Batching::new(NonZeroUsize::new(4).unwrap());
        let answers = AnswerStream::new(&chooser, requests, batching);
        answers.map(|answer| serde_json::to_value(answer.unwrap()).unwrap()).collect()
    };
    let found = answers(&path);
    let [gapped, plain] = &found[..] else { panic!("{found:?}") };
    let places = [1, 3];
    assert_eq!(gapped["choice"], json!(places[plain["choice"].as_u64().unwrap() as usize]));
    assert_eq!(gapped["label"], plain["label"]);
    let scores = &plain["scores"];
    assert_eq!(scores.as_array().unwrap().len(), 2);
    assert_same(&gapped["scores"], &json!([null, scores[0], null, scores[1]]), "scores");
}

#[test]
fn a_question_that_leaves_no_room_is_told() {
    let answerer =
        QuestionAnswering::load(&folder("qa"), &Device::flex(), Options::default()).unwrap();
    let [question, context] = ["where ".repeat(30), "anna ".repeat(30)];
    let error = answerer.answer(Question { question, context, id: None }).unwrap_err().to_string();
    assert!(error.contains("30 tokens") && error.contains("shorten the question"), "{error}");
}

#[test]
fn options_that_no_window_can_have_are_refused() {
    let options = Options { max_seq_len: Some(100), ..Options::default() };
    let error = QuestionAnswering::load(&folder("qa"), &Device::flex(), options).unwrap_err();
    assert!(error.to_string().contains("`max_seq_len` is `100`"), "{error}");
    let options = Options { doc_stride: Some(24), ..Options::default() };
    let error = QuestionAnswering::load(&folder("qa"), &Device::flex(), options).unwrap_err();
    assert!(error.to_string().contains("`doc_stride` is `24`"), "{error}");

    let load = |aggregation| {
        TokenClassification::load(&folder("tokens"), &Device::flex(), aggregation).unwrap()
    };
    let stride = |stride| NonZeroUsize::new(stride).unwrap();
    let error = load(Aggregation::Simple).with_stride(stride(22)).unwrap_err().to_string();
    assert!(error.contains("`22`") && error.contains("21 at most"), "{error}");
    let error = load(Aggregation::None).with_stride(stride(4)).unwrap_err().to_string();
    assert!(error.contains("aggregation"), "{error}");
}

#[test]
fn a_folder_without_the_head_or_the_tokenizer_says_so() {
    let error = FillMask::load(&folder("features"), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("is no NystromformerForMaskedLM"), "{error}");
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(folder("qa").join(name), copy.path().join(name)).unwrap();
    }
    let error = QuestionAnswering::load(copy.path(), &Device::flex(), Options::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no usable tokenizer"), "{error}");
}
