//! Every class of the registry, by the same questions.

use burn::tensor::{Device, Int, Tensor, TensorData, Tolerance};

use super::{
    Architecture, Head, Losses, Model, ModelClass, NystromformerForMultipleChoice, PreTrainedModel,
    TargetTensors, TargetsData,
};
use crate::{
    classifier::{Labels, ProblemType},
    config::NystromformerConfig,
    error::ModelError,
    nystromformer::{Nystromformer, NystromformerInput},
};

fn tiny() -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 20;
        config.shared.hidden_size = 8;
        config.encoder.num_hidden_layers = 2;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 8;
        config.attention.nystrom.num_landmarks = 4;
        config.attention.convolution.conv_kernel_size = 3;
        config.classifier.id2label = Labels::numbered(3);
    })
}

fn ids(rows: usize) -> NystromformerInput {
    NystromformerInput::new(Tensor::<2, Int>::ones([rows, 9], &Device::flex()))
}

fn ints<const N: usize>(values: [i64; N]) -> Tensor<1, Int> {
    Tensor::from_ints(values, &Device::flex())
}

/// `TargetTensors` of every kind for four rows, in all numbers that heads take them in.
fn targets_of_every_kind() -> Vec<TargetTensors> {
    let (positions, labels) = (ints([0, 7, 11]), ints([1, 2, 0]));
    vec![
        TargetTensors::Tokens { positions: positions.clone(), labels: labels.clone() },
        TargetTensors::TokensAndOrder { positions, labels, order: ints([0, 1, 0, 1]) },
        TargetTensors::Class(ints([0, 0, 0, 0])),
        TargetTensors::Class(ints([1, 0])),
        TargetsData::Choice { labels: vec![2, 0], num_choices: vec![3, 1] }
            .into_targets(4, &Device::flex()),
        TargetTensors::Values(Tensor::zeros([4, 3], &Device::flex())),
        TargetTensors::Span { start: ints([0, 1, 2, 3]), end: ints([8, 7, 6, 9]) },
    ]
}

#[test]
fn what_a_class_says_of_itself_is_so() {
    for architecture in Architecture::ALL {
        let class = architecture.class();
        assert_eq!(class.name.parse(), Ok(architecture), "names are told apart");
        let mut model = Model::init(architecture, &tiny(), &Device::flex()).unwrap();
        assert_eq!((model.architecture(), model.class()), (architecture, class));
        assert!(!model.outputs(ids(4), 2).unwrap().is_empty());
        let outputs = model.label_layer_mut().map(|layer| layer.bias.dims());
        assert_eq!(outputs, class.has_labels().then_some([3]), "{architecture}");

        let losses = |targets| model.losses(ids(4), targets).ok();
        let answered: Vec<Losses> =
            targets_of_every_kind().into_iter().filter_map(losses).collect();
        assert_eq!(answered.is_empty(), architecture == Architecture::Base, "{architecture}");
        for Losses { terms, logits } in answered {
            assert_eq!(terms.len(), logits.len());
            assert!(class.metrics.iter().all(|metric| metric.term < terms.len()), "{architecture}");
        }
    }
}

#[test]
fn heads_answer_in_their_shapes() {
    let [tokens, pairs, rows, two, ragged, _, spans] =
        <[TargetTensors; 7]>::try_from(targets_of_every_kind()).unwrap();
    for (architecture, targets, shapes) in [
        (Architecture::MaskedLm, &tokens, vec![[3, 20]]),
        (Architecture::TokenClassification, &tokens, vec![[3, 3]]),
        (Architecture::PreTraining, &pairs, vec![[3, 20], [4, 3]]),
        (Architecture::SequenceClassification, &rows, vec![[4, 3]]),
        (Architecture::DualEncoder, &two, vec![[2, 3]]),
        (Architecture::MultipleChoice, &two, vec![[2, 2]]),
        (Architecture::MultipleChoice, &ragged, vec![[2, 3]]),
        (Architecture::QuestionAnswering, &spans, vec![[4, 9], [4, 9]]),
    ] {
        let model = Model::init(architecture, &tiny(), &Device::flex()).unwrap();
        let losses = model.losses(ids(4), targets.clone()).unwrap();
        let found: Vec<[usize; 2]> = losses.logits.iter().map(Tensor::dims).collect();
        assert_eq!(found, shapes, "{architecture}");
    }
}

#[test]
fn answers_that_a_head_does_not_give_are_refused() {
    let model = Model::init(Architecture::MaskedLm, &tiny(), &Device::flex()).unwrap();
    let error = model.losses(ids(1), TargetTensors::Class(ints([0]))).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("NystromformerForMaskedLM cannot be trained towards one class")
    );
}

/// transformers' rules: which loss a sequence classifier has follows from `problem_type`, or else from its labels.
#[test]
fn labels_must_be_of_the_problem() {
    let device = Device::flex();
    let values = |columns| TargetTensors::Values(Tensor::zeros([2, columns], &device));
    let class = || TargetTensors::Class(ints([0, 0]));
    let classifier = |num_labels, problem_type| {
        let id2label = Labels::numbered(num_labels);
        let config = tiny().with(|config| {
            config.classifier.id2label = id2label;
            config.classifier.problem_type = problem_type;
        });
        Model::init(Architecture::SequenceClassification, &config, &device).unwrap()
    };
    for (num_labels, problem_type, takes_class, takes_values) in [
        (1, None, false, true),
        (3, None, true, true),
        (3, Some(ProblemType::Regression), false, true),
        (3, Some(ProblemType::SingleLabelClassification), true, false),
        (3, Some(ProblemType::MultiLabelClassification), false, true),
    ] {
        let model = classifier(num_labels, problem_type);
        assert_eq!(model.losses(ids(2), class()).is_ok(), takes_class, "{problem_type:?}");
        let with_values = model.losses(ids(2), values(num_labels));
        assert_eq!(with_values.is_ok(), takes_values, "{problem_type:?}");
    }
}

/// The loss of pretraining is the sum of two means, each of cross-entropies of its own scores.
#[test]
fn pretraining_adds_the_means_of_both_heads() {
    let config = tiny().with(|config| config.shared.weights.initializer_range = 0.3);
    let model = Model::init(Architecture::PreTraining, &config, &Device::flex()).unwrap();
    let (positions, labels) = (ints([2, 9, 17]), ints([4, 0, 19]));
    let order = ints([1, 0]);
    let targets = TargetTensors::TokensAndOrder { positions, labels, order };
    let Losses { terms, logits } = model.losses(ids(2), targets).unwrap();
    for ((term, logits), answers) in terms.into_iter().zip(logits).zip([vec![4, 0, 19], vec![1, 0]])
    {
        assert_eq!(term.weight.to_bits(), 1.0f64.to_bits());
        let [_, classes] = logits.dims();
        let scores: Vec<f32> = logits.into_data().try_into_vec().unwrap();
        let losses: Vec<f32> = term.losses.into_data().try_into_vec().unwrap();
        assert_eq!(losses.len(), answers.len());
        for ((row, loss), answer) in scores.chunks(classes).zip(losses).zip(answers) {
            let sum: f64 = row.iter().map(|score| f64::from(*score).exp()).sum();
            let expected = sum.ln() - f64::from(row[answer]);
            assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} for {expected}");
        }
    }
}

#[test]
fn answers_must_be_as_many_as_rows() {
    let model = Model::init(Architecture::SequenceClassification, &tiny(), &Device::flex());
    let model = model.unwrap();
    for targets in [
        TargetTensors::Class(ints([0, 1, 2])),
        TargetTensors::Values(Tensor::zeros([2, 1], &Device::flex())),
    ] {
        let error = model.losses(ids(2), targets).unwrap_err();
        assert!(matches!(error, ModelError::Answers { .. }), "{error}");
    }
}

/// Questions of two, four, one and three choices at once are what each is by itself, loss and gradients.
#[test]
fn questions_of_any_number_of_choices_are_each_by_itself() {
    let device = Device::flex().autodiff();
    let config = tiny().with(|config| {
        config.shared.weights.initializer_range = 0.3;
        config.shared.hidden_dropout_prob = 0.0;
    });
    let model = NystromformerForMultipleChoice::init(&config, &device).unwrap();
    let (num_choices, labels) = (vec![2, 4, 1, 3], vec![1, 3, 0, 0]);
    let input = |first: usize, rows: usize| {
        let places = (first * 9..(first + rows) * 9).map(|place| (place * place % 17 + 2) as i32);
        let data = TensorData::new(places.collect::<Vec<i32>>(), [rows, 9]);
        NystromformerInput::new(Tensor::<2, Int>::from_data(data, &device))
    };
    let sum_of = |losses: Losses| losses.terms[0].losses.clone().sum();
    let targets = TargetsData::Choice { labels: labels.clone(), num_choices: num_choices.clone() };
    let together = model.losses(input(0, 10), targets.into_targets(10, &device)).unwrap();
    let found: Vec<f32> = together.terms[0].losses.to_data().try_into_vec().unwrap();
    let logits: Vec<f32> = together.logits[0].to_data().try_into_vec().unwrap();

    let (mut first, mut sum) = (0, Tensor::<1>::zeros([1], &device));
    for (question, (count, label)) in num_choices.into_iter().zip(labels).enumerate() {
        let targets = TargetsData::Class(vec![label]).into_targets(count, &device);
        let alone = model.losses(input(first, count), targets).unwrap();
        let scores: Vec<f32> = alone.logits[0].to_data().try_into_vec().unwrap();
        let (there, absent) = logits[question * 4..][..4].split_at(count);
        let close = there.iter().zip(&scores).all(|(left, right)| (left - right).abs() < 1e-6);
        assert!(close && scores.len() == count, "{there:?} {scores:?}");
        assert!(absent.iter().all(|score| *score < -1e8), "{absent:?}");
        let loss = alone.terms[0].losses.clone().into_scalar::<f32>();
        assert!((found[question] - loss).abs() < 1e-6, "{loss} {}", found[question]);
        sum = sum + sum_of(alone);
        first += count;
    }
    let gradients = sum_of(together).backward();
    let expected = sum.backward();
    for layer in [&model.classifier, &model.pre_classifier] {
        let of = |gradients| layer.weight.val().grad(gradients).unwrap().into_data();
        of(&gradients).assert_approx_eq::<f32>(&of(&expected), Tolerance::absolute(1e-6));
    }
    let table = &model.nystromformer.embeddings.tokens().unwrap().word_embeddings.weight;
    let of = |gradients| table.val().grad(gradients).unwrap().into_data();
    of(&gradients).assert_approx_eq::<f32>(&of(&expected), Tolerance::absolute(1e-6));
}

#[test]
fn choices_must_be_whole() {
    let model = Model::init(Architecture::MultipleChoice, &tiny(), &Device::flex()).unwrap();
    let error = model.losses(ids(3), TargetTensors::Class(ints([0, 0]))).unwrap_err();
    assert_eq!(error, ModelError::Choices { rows: 3, num_choices: 1 });
}

/// A group's layers are one layer, used again and again.
#[test]
fn shared_layers_equal_copies() {
    let device = Device::flex();
    let config = tiny().with(|config| {
        config.encoder.num_hidden_layers = 4;
        config.encoder.num_hidden_groups = 2;
        config.shared.weights.initializer_range = 0.3;
    });
    let shared = config.init(&device).unwrap();
    let own = config.with(|config| config.encoder.num_hidden_groups = 0);
    let mut copied = own.init(&device).unwrap();
    copied.embeddings = shared.embeddings.clone();
    copied.encoder.layer = shared.encoder.layers().cloned().collect();
    let bits = |model: &Nystromformer| model.forward(ids(2)).unwrap().into_data();
    assert_eq!(shared.encoder.layer.len(), 2);
    assert_eq!(bits(&shared), bits(&copied));
}

#[test]
fn chunks_and_embeddings_change_nothing() {
    let device = Device::flex();
    let config = tiny().with(|config| config.shared.weights.initializer_range = 0.3);
    let whole = config.init(&device).unwrap();
    let chunked = config.with(|config| config.feed_forward.chunk_size_feed_forward = 4);
    let mut chunked = chunked.init(&device).unwrap();
    let copy = |layer: &crate::layer::Layer, into: &mut crate::layer::Layer| {
        into.attention = layer.attention.clone();
        into.intermediate = layer.intermediate.clone();
        into.output = layer.output.clone();
    };
    chunked.embeddings = whole.embeddings.clone();
    for (from, into) in whole.encoder.layer.iter().zip(&mut chunked.encoder.layer) {
        copy(from, into);
    }
    let close = |left: Tensor<3>, right: Tensor<3>| {
        let tolerance = Tolerance::absolute(1e-5);
        left.into_data().assert_approx_eq::<f32>(&right.into_data(), tolerance);
    };
    let expected = whole.forward(ids(2)).unwrap();
    close(chunked.forward(ids(2)).unwrap(), expected.clone());

    let table = &whole.embeddings.tokens().unwrap().word_embeddings;
    let embeds = table.forward(Tensor::<2, Int>::ones([2, 9], &device));
    close(whole.forward(NystromformerInput::from_embeds(embeds)).unwrap(), expected);
}
