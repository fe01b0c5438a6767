//! Gradients that travel while the backward pass goes on. That they change no bit of a whole run, the tests of ranks show.

use crate::ranks::overlap::{OverlapCounts, fault};

use super::*;

const STEPS: usize = 6;

/// What some steps lead to.
#[derive(PartialEq)]
struct Trained {
    losses: Vec<f64>,
    weights: Vec<u8>,
    moments: Vec<u8>,
}

fn trained(mut learner: Learner<'_>) -> (Trained, OverlapCounts) {
    let losses = (0..STEPS).map(|_| learner.step().unwrap().loss).collect();
    let weights = weights_to_safetensors(learner.model(), &learner.groups).unwrap();
    let moments = learner.optimizer.to_safetensors().unwrap();
    (Trained { losses, weights, moments }, learner.overlap.counts())
}

/// The same of a model for masked tokens on several ranks.
fn trained_with(size: usize, config: RanksConfig) -> Vec<(Trained, OverlapCounts)> {
    let (experiment, data) = (eight_micro_batches(), Synthetic::default());
    on_ranks(size, |ranks| {
        let learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
        trained(learner.on_ranks(ranks.clone().configured(config).with_limit(LIMIT)))
    })
}

fn trained_alone() -> Trained {
    let (experiment, data) = (eight_micro_batches(), Synthetic::default());
    let (trained, counts) = trained(Learner::new(&experiment, &data, &Device::flex()).unwrap());
    assert_eq!(counts, OverlapCounts::default());
    trained
}

#[test]
fn all_buckets_of_the_plan_are_sent_before_the_backward_pass_ends() {
    let expected = trained_alone();
    for (trained, counts) in trained_with(2, RanksConfig::default()) {
        assert!(trained == expected);
        // The first step looks on.
        assert_eq!(counts.steps, STEPS - 1);
        assert!(counts.buckets >= 10 * counts.steps, "{counts:?}");
        assert_eq!((counts.sent_early, counts.late), (counts.buckets, 0));
    }
    let without = RanksConfig { overlap: false, ..RanksConfig::default() };
    for (trained, counts) in trained_with(2, without) {
        assert!(trained == expected);
        assert_eq!(counts, OverlapCounts::default());
    }
}

/// The table of tokens gets a gradient from the scores of masked tokens, and one from the embeddings at the end of the pass.
#[test]
fn a_gradient_that_is_sent_before_it_is_complete_is_summed_once_more() {
    let expected = trained_alone();
    let too_early = |mends| {
        let (experiment, data) = (eight_micro_batches(), Synthetic::default());
        on_ranks(2, |ranks| {
            fault::trust_first(true);
            fault::mend(mends);
            let learner = Learner::new(&experiment, &data, &Device::flex()).unwrap();
            trained(learner.on_ranks(ranks.clone()))
        })
    };
    for (trained, counts) in too_early(true) {
        assert!(trained == expected);
        // From then on it is sent after the pass.
        assert_eq!(counts.late, 1);
    }
    for (trained, _) in too_early(false) {
        assert!(trained != expected);
    }
}

#[test]
fn a_classifier_is_trained_to_the_same_bits() {
    let experiment = eight_micro_batches();
    let data = Synthetic { classes: true, ..Synthetic::default() };
    let learner = || {
        Learner::init(&experiment, &data, &Device::flex(), |device| {
            Ok(Model::init(Architecture::SequenceClassification, &experiment.model, device)?)
        })
        .unwrap()
    };
    let (expected, _) = trained(learner());
    for size in [2, 4] {
        for overlap in [true, false] {
            let config = RanksConfig { overlap, ..RanksConfig::default() };
            let found = on_ranks(size, |ranks| {
                trained(learner().on_ranks(ranks.clone().configured(config).with_limit(LIMIT)))
            });
            for (trained, counts) in found {
                assert!(trained == expected, "{size} {overlap}");
                assert_eq!(counts.sent_early > 0, overlap);
            }
        }
    }
}

/// Each number is rounded by itself, wherever it is in a bucket.
#[test]
fn in_half_precision_the_bits_are_the_same_too() {
    for size in [2, 3, 4] {
        let [with, without] = [true, false].map(|overlap| {
            let config = RanksConfig { overlap, wire: Wire::Bf16, ..RanksConfig::default() };
            trained_with(size, config)
        });
        assert!(with.iter().zip(&without).all(|(with, without)| with.0 == without.0), "{size}");
        assert!(with[0].1.sent_early > 0);
    }
}
