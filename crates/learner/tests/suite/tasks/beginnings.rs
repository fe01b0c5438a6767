//! Tokenizers and weights of pretrained models, and what is refused before a run begins.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use nystromformer_interop::save;
use nystromformer_learner::LearnerError;
use nystromformer_learner::progress::Silent;
use nystromformer_learner::trainer::{
    Learner, RunRequest, Session, TrainOutput, Update, model_folder,
};
use nystromformer_tasks::Split;
use safetensors::SafeTensors;

use super::fixture::{Fixture, StopAfter, review, train};

/// A masked language model, trained on the reviews for a few steps with a tokenizer of its own.
fn pretrained(fixture: &Fixture) -> Result<TrainOutput, LearnerError> {
    let texts: Vec<String> = (0..60).map(review).collect();
    fs::write(fixture.path("corpus.txt"), texts.join("\n")).unwrap();
    let root = fixture.path("");
    let root = root.display();
    let config = format!(
        "seed = 7\n[model]\nhidden_size = 24\nnum_hidden_layers = 2\nnum_attention_heads = 2\n\
         intermediate_size = 32\nmax_position_embeddings = 48\nnum_landmarks = 4\nconv_kernel_size = 5\n\
         [tokenizer]\nvocab_size = 90\n\
         [data]\ncorpus = \"{root}/corpus.txt\"\ndocument = \"line\"\nseq_len = 16\n\
         validation_fraction = 0.2\ncache_dir = \"{root}/cache\"\n\
         [trainer]\nmax_steps = 2\nbatch_size = 4\neval_every = 0\n"
    );
    fs::write(fixture.path("pretraining.toml"), config).unwrap();
    let request = RunRequest {
        config: fixture.path("pretraining.toml"),
        overrides: Vec::new(),
        run_dir: Some(fixture.path("pretrained")),
        resume: false,
        tasks: crate::known_tasks(),
    };
    train(&request, &mut Silent)
}

/// Takes a table out of the experiment's file.
fn without_table(fixture: &Fixture, name: &str) {
    let path = fixture.path("task.toml");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find(&format!("[{name}]")).unwrap();
    let end = text[start + 1..].find("\n[").map_or(text.len(), |end| start + 1 + end + 1);
    fs::write(&path, format!("{}{}", &text[..start], &text[end..])).unwrap();
}

/// Name and bytes of each weight of the encoder.
fn encoder_weights(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weights = file.iter().filter(|(name, _)| name.starts_with("nystromformer."));
    let mut weights: Vec<_> =
        weights.map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    weights.sort();
    weights
}

#[test]
fn a_pretrained_model_gives_its_encoder_its_sizes_and_its_tokenizer() {
    let fixture = Fixture::of_reviews();
    pretrained(&fixture).unwrap();
    for table in ["tokenizer", "model"] {
        without_table(&fixture, table);
    }
    let source = fixture.path("pretrained");
    let init_from = format!("model.init_from={}", source.display());
    let request = fixture.request("tuned", &[&init_from], false);
    let session = Session::open(&request, &|_| {}).unwrap();
    let model = &session.experiment().model;
    assert_eq!(
        (
            model.shared.hidden_size,
            model.encoder.num_hidden_layers,
            model.attention.convolution.conv_kernel_size
        ),
        (24, 2, 5)
    );
    assert_eq!(model.classifier.id2label.names(), ["bad", "good"]);
    let folder = model_folder(&source).unwrap();
    let tokenizer = nystromformer_data::TextTokenizer::load(&folder, true).unwrap();
    assert_eq!(session.data().tokenizer().unwrap().hash(), tokenizer.hash());

    let learner =
        Learner::new(session.experiment(), session.data().source(), session.device()).unwrap();
    save(learner.model(), &fixture.path("start")).unwrap();
    let start = encoder_weights(&fixture.path("start"));
    assert_eq!(start.len(), 5 + 2 * 17);
    assert!(start == encoder_weights(&folder));
    drop(learner);
    drop(session);

    train(&request, &mut Silent).unwrap();
    let tuned = model_folder(&fixture.path("tuned")).unwrap();
    assert!(encoder_weights(&tuned) != start, "training moved nothing");
    // The tokenizer travels on, and the run goes on without the model it came from.
    let travelled = nystromformer_data::TextTokenizer::load(&tuned, true).unwrap();
    assert_eq!(travelled.hash(), tokenizer.hash());
    fs::rename(&source, fixture.path("moved")).unwrap();
    train(&fixture.request("tuned", &[], true), &mut Silent).unwrap();
}

/// The weights and biases of the answers of a run's model, class by class.
fn answers(folder: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let [weight, bias] =
        ["weight", "bias"].map(|name| file.tensor(&format!("classifier.out_proj.{name}")).unwrap());
    let rows = weight.data().chunks(weight.data().len() / weight.shape()[0]);
    rows.zip(bias.data().chunks(4)).map(|(row, bias)| [row, bias].concat()).collect()
}

#[test]
fn a_head_of_the_same_classes_in_another_order_is_taken_class_by_class() {
    let fixture = Fixture::of_reviews();
    fixture.train("first", &[]).unwrap();
    let first = answers(&model_folder(&fixture.path("first")).unwrap());
    let init_from = format!("model.init_from={}", fixture.path("first").display());
    let start = |run: &str, labels: &str| {
        let labels = format!("task.labels={labels}");
        let request = fixture.request(run, &[&init_from, &labels], false);
        let session = Session::open(&request, &|_| {}).unwrap();
        let learner =
            Learner::new(session.experiment(), session.data().source(), session.device()).unwrap();
        save(learner.model(), &fixture.path("start")).unwrap();
        (answers(&fixture.path("start")), learner.state().notes.clone())
    };
    let (same, told) = start("same", "[\"bad\", \"good\"]");
    assert_eq!((same, told.len()), (first.clone(), 0));
    let (swapped, told) = start("swapped", "[\"good\", \"bad\"]");
    assert_eq!(swapped, [first[1].clone(), first[0].clone()]);
    assert!(told[0].contains("class by class, by name"), "{told:?}");

    // It is told in the summary too, also by a run that was resumed.
    let settings = [&*init_from, "task.labels=[\"good\", \"bad\"]", "trainer.max_steps=4"];
    let mut stop = StopAfter { step: 2, taken: 0 };
    train(&fixture.request("second", &settings, false), &mut stop).unwrap();
    let outcome = train(&fixture.request("second", &[], true), &mut Silent).unwrap();
    assert_eq!(outcome.summary.steps, 4);
    assert_eq!(outcome.summary.notes, told);
    let computed = &outcome.summary.computed_with;
    assert_eq!((computed.len(), computed[0].device.as_str()), (1, "flex"));
}

#[test]
fn texts_without_a_tokenizer_are_refused_with_where_to_get_one() {
    let fixture = Fixture::of_reviews();
    without_table(&fixture, "tokenizer");
    let error = fixture.train("run", &[]).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    let message = error.to_string();
    assert!(
        message.contains("`model.init_from`") && message.contains("`tokenizer.path`"),
        "{message}"
    );
}

#[test]
fn a_metric_that_is_not_measured_is_refused_before_the_run_begins() {
    let fixture = Fixture::of_reviews();
    for metric in ["acuracy", "pearson"] {
        let setting = format!("trainer.metric_for_best_model={metric}");
        let error = fixture.train("run", &[&setting]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let message = error.to_string();
        for part in [&format!("`{metric}`"), "loss", "accuracy", "f1_macro"] {
            assert!(message.contains(part), "{message}");
        }
    }
    fixture.train("run", &["trainer.metric_for_best_model=f1_macro"]).unwrap();
}

#[test]
fn one_class_alone_is_nothing_to_learn() {
    let fixture = Fixture::of_reviews();
    let refused = |overrides: &[&str]| {
        let error = fixture.train("run", overrides).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        error.to_string()
    };
    // Two thirds of the reviews are good, so the one that is drawn is.
    let message = refused(&["task.max_train_samples=1"]);
    assert!(message.contains("all `1`") && message.contains("`good`"), "{message}");
    let rows = (0..9).map(|number| format!("{},good", review(number)));
    fixture.write_csv(Split::Train, "sentence,label", rows);
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    fs::remove_file(fixture.data().join("test.csv")).unwrap();
    let message = refused(&[]);
    assert!(message.contains("all `9`") && message.contains("`good`"), "{message}");
    assert!(message.contains(&fixture.data().display().to_string()), "{message}");
    // One number is something to learn.
    let rows = (0..9).map(|number| format!("{},2.5", review(number)));
    fixture.write_csv(Split::Train, "sentence,label", rows);
    let device = Device::flex();
    let request = fixture.request("run", &["task.regression=true"], false);
    let session = Session::open(&request, &|_| {}).unwrap();
    let mut learner = Learner::new(session.experiment(), session.data().source(), &device).unwrap();
    assert_eq!(learner.step().unwrap().update, Update::Applied);
}
