//! The rules one by one, and all of them against the reference script.

use std::convert::Infallible;

use proptest::prelude::*;
use rand_chacha::rand_core::TryRng;
use serde::Deserialize;

use super::*;
use crate::masking::tests::counting;
use crate::random::{Purpose, generator};

/// Documents whose segments are numbered from 0 on.
impl Segments for Vec<Vec<u32>> {
    fn bounds(&self) -> Range<u64> {
        0..self.len() as u64
    }

    fn read(&self, segment: u64, tokens: &mut Vec<u32>) {
        tokens.extend(&self[segment as usize]);
    }
}

fn lengths(document: &[Vec<u32>]) -> impl Iterator<Item = u64> {
    document.iter().map(|segment| segment.len() as u64)
}

/// The generator of the reference script: `SplitMix64`, one word for each draw.
struct SplitMix(u64);

impl TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.next_u64() as u8;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    seed: u64,
    seq_len: u32,
    short_seq_prob: f64,
    mlm_probability: f64,
    max_predictions: usize,
    vocab_size: u32,
    documents: Vec<Vec<Vec<u32>>>,
    instances: Vec<Vec<Instance>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Instance {
    tokens: Vec<u32>,
    token_type_ids: Vec<u32>,
    order_label: u32,
    masked_positions: Vec<usize>,
    masked_tokens: Vec<u32>,
}

/// `tools/reference/sentence_order.py` states the original's builder in its own way.
#[test]
fn the_instances_are_those_of_the_original() {
    let text = include_str!("../../tests/fixtures/sentence_order.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for case in fixture.cases {
        let stream = |kind: u64, document: usize, instance: usize| {
            SplitMix(case.seed + 1_000_000 * kind + (1_000 * document + instance) as u64)
        };
        let rule = PassageRule {
            max_tokens: case.seq_len - SPECIAL_TOKENS as u32,
            short_seq_prob: case.short_seq_prob,
        };
        let masking = counting(case.mlm_probability, case.max_predictions, case.vocab_size);
        for (number, (document, expected)) in case.documents.iter().zip(case.instances).enumerate()
        {
            let passages = rule.cut(0, lengths(document), &mut stream(0, number, 0));
            let built: Vec<Instance> = passages
                .into_iter()
                .enumerate()
                .map(|(instance, passage)| {
                    let mut random = stream(1, number, instance);
                    let pair = pair(document, passage, rule.max_tokens, &mut random);
                    let tokens = [&[2][..], &pair.first, &[3], &pair.second, &[3]].concat();
                    let mut masked_tokens = tokens.clone();
                    let mut random = stream(2, number, instance);
                    let chosen = masking.apply(&mut masked_tokens, &mut random);
                    let [first, second] = [pair.first.len() + 2, pair.second.len() + 1];
                    Instance {
                        token_type_ids: [vec![0; first], vec![1; second]].concat(),
                        order_label: u32::from(pair.swapped),
                        masked_positions: chosen.iter().map(|token| token.position).collect(),
                        tokens,
                        masked_tokens,
                    }
                })
                .collect();
            compared += built.len();
            assert_eq!(built, expected, "document {number} of case {}", case.seed);
        }
    }
    assert_eq!(compared, 115);
}

/// Segments of these lengths; every token is another number.
fn document(lengths: &[usize]) -> Vec<Vec<u32>> {
    let mut next = 0..;
    lengths.iter().map(|length| next.by_ref().take(*length).collect()).collect()
}

fn is_run(tokens: &[u32]) -> bool {
    tokens.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

proptest! {
    #[test]
    fn passages_tile_the_document_and_end_where_they_are_long_enough(
        lengths in prop::collection::vec(1u64..40, 1..60),
        max_tokens in 2u32..100,
        short_seq_prob in 0.0..=1.0,
        seed: u64,
    ) {
        let rule = PassageRule { max_tokens, short_seq_prob };
        let mut random = generator(seed, Purpose::Passages, 0, 7);
        let passages = rule.cut(7, lengths.iter().copied(), &mut random);
        let mut next = 7;
        for passage in &passages {
            prop_assert_eq!(passage.first, next);
            prop_assert!((2..=max_tokens).contains(&passage.wanted));
            let end = next + u64::from(passage.segments);
            let own = &lengths[(next - 7) as usize..(end - 7) as usize];
            let (last, others) = own.split_last().unwrap();
            let others: u64 = others.iter().sum();
            prop_assert!(others < u64::from(passage.wanted));
            if end < 7 + lengths.len() as u64 {
                prop_assert!(others + last >= u64::from(passage.wanted));
            }
            next = end;
        }
        prop_assert_eq!(next, 7 + lengths.len() as u64);
    }

    #[test]
    fn both_parts_are_runs_of_the_passage(
        lengths in prop::collection::vec(1usize..20, 2..12),
        max_tokens in 5u32..80,
        seed: u64,
    ) {
        let document = document(&lengths);
        let total: usize = lengths.iter().sum();
        let segments = lengths.len() as u32;
        let passage = Passage { first: 0, segments, wanted: max_tokens };
        let mut random = generator(seed, Purpose::TrainPair, 0, 0);
        let pair = pair(&document, passage, max_tokens, &mut random);
        prop_assert_eq!(pair.first.len() + pair.second.len(), total.min(max_tokens as usize));
        let (earlier, later) = if pair.swapped {
            (&pair.second, &pair.first)
        } else {
            (&pair.first, &pair.second)
        };
        prop_assert!(!earlier.is_empty() && !later.is_empty());
        prop_assert!(is_run(earlier) && is_run(later));
        prop_assert!(earlier.last() < later.first());
        if total <= max_tokens as usize {
            let ends: Vec<u32> =
                document.iter().filter_map(|segment| segment.last()).copied().collect();
            prop_assert!(ends.contains(&earlier[earlier.len() - 1]));
            prop_assert_eq!(earlier.len() + later.len(), total);
        }
    }

    #[test]
    fn a_lone_segment_is_paired_within_its_document_and_labelled_swapped(
        lengths in prop::collection::vec(1usize..20, 1..12),
        chosen: prop::sample::Index,
        wanted in 2u32..60,
        seed: u64,
    ) {
        let document = document(&lengths);
        let number = chosen.index(lengths.len());
        let passage = Passage { first: number as u64, segments: 1, wanted };
        let mut random = generator(seed, Purpose::TrainPair, 0, 0);
        let SentencePair { first, second, swapped } =
            pair(&document, passage, 10_000, &mut random);
        prop_assert!(swapped);
        prop_assert!(is_run(&first) && is_run(&second));
        let own = &document[number];
        prop_assert!(first == *own || second == *own);
        let last = document.last().and_then(|segment| segment.last()).copied();
        let other = if first == *own { &second } else { &first };
        let long_enough = other.len() + own.len() >= wanted as usize;
        prop_assert!(long_enough || other.last().copied() == last);
    }
}

/// Whether `count` of `of` is the share `expected`, within four standard deviations.
fn is_about(count: usize, of: usize, expected: f64) -> bool {
    let (count, of) = (count as f64, of as f64);
    (count - of * expected).abs() <= 4.0 * (of * expected * (1.0 - expected)).sqrt()
}

#[test]
fn shares_are_those_of_the_rules() {
    let document = document(&[5; 6]);
    let rule = PassageRule { max_tokens: 61, short_seq_prob: 0.1 };
    let passage = Passage { first: 0, segments: 6, wanted: 30 };
    let trials = 20_000;
    let (mut short, mut swapped) = (0, 0);
    let mut splits = [0; 5];
    for trial in 0..trials {
        let mut random = generator(3, Purpose::Passages, 0, trial);
        let wanted = rule.wanted_length(&mut random);
        short += usize::from(wanted < 61);
        let pair = pair(&document, passage, 61, &mut random);
        swapped += usize::from(pair.swapped);
        let earlier = if pair.swapped { &pair.second } else { &pair.first };
        splits[earlier.len() / 5 - 1] += 1;
    }
    // One of the sixty lengths that may be drawn is the longest.
    assert!(is_about(short, trials as usize, 0.1 * 59.0 / 60.0), "{short}");
    assert!(is_about(swapped, trials as usize, 0.5), "{swapped}");
    assert!(splits.iter().all(|count| is_about(*count, trials as usize, 0.2)), "{splits:?}");
}

#[test]
fn tokens_are_taken_from_both_ends_of_the_longer_part() {
    let passage = Passage { first: 0, segments: 2, wanted: 13 };
    let document = document(&[90, 10]);
    let mut starts = Vec::new();
    for trial in 0..200 {
        let mut random = generator(0, Purpose::TrainPair, 0, trial);
        let pair = pair(&document, passage, 40, &mut random);
        let (earlier, later) =
            if pair.swapped { (pair.second, pair.first) } else { (pair.first, pair.second) };
        assert_eq!((earlier.len(), later), (30, (90..100).collect()));
        starts.push(f64::from(earlier[0]));
    }
    let mean = starts.iter().sum::<f64>() / starts.len() as f64;
    // Half of 60 tokens, each by a coin: a standard deviation of 3.9 in one trial.
    assert!((mean - 30.0).abs() < 4.0 * 3.9 / 200f64.sqrt(), "{mean}");
}
