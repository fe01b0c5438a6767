//! Chooses the tokens to predict and hides them, as BERT does (Devlin et al. 2019, §3.1).
//!
//! For `mlm` each token that is not special is chosen with `mlm_probability`. A chosen token becomes the
//! mask token in 80 % of cases, a random token of the whole vocabulary in 10 %, and stays in 10 %. With
//! whole-word masking the choice falls on words and then takes all their tokens, each hidden by
//! itself by the same rule. As in Hugging Face's collator a short example may end up with no chosen
//! token.
//!
//! For `mlm_sop` an exact number of tokens is chosen, all equally likely, as in the original: the share
//! `mlm_probability` of those that are not special, rounded down, but at most `max_predictions`. They are
//! hidden in the same way, except that the random token is never that of id 0, the padding token of the
//! original's vocabulary. A row of six tokens of text or less has none to predict.
//!
//! For `distill` tokens are chosen as for `mlm` with single tokens, and none is hidden. Ids that no tokenizer makes
//! ([`Masking::of_ids`]) are chosen and hidden as for `mlm`.
//!
//! Unknown tokens count as special throughout. The original chooses them like any others.
//!
//! With `mlm_probability_end` the share goes from one value to another over a run, in a straight line: many hidden tokens teach
//! more at first, fewer later on (Yang et al. 2023, "Learning Better Masking for Better Language Model Pre-training").

use std::sync::Arc;

use rand_chacha::rand_core::Rng;

use crate::config::{DataConfig, Objective};
use crate::random::{below, unit};
use crate::tokenizer::TextTokenizer;

/// Share of the chosen tokens that become the mask token.
const MASKED: f64 = 0.8;
/// Share of the chosen tokens that become a random token.
const REPLACED: f64 = 0.1;

/// The rule of masking, with the tables it needs.
#[derive(Debug, Clone)]
pub struct Masking {
    probability: f64,
    mask: u32,
    vocab_size: u32,
    /// For each id, whether it is never chosen.
    special: Arc<[bool]>,
    choice: Choice,
    /// Whether chosen tokens are hidden.
    hides: bool,
}

/// How tokens are chosen.
#[derive(Debug, Clone)]
enum Choice {
    /// Each token or word by itself.
    Chance {
        /// For each id, whether it belongs to the word of the token before it; empty for single tokens.
        continues_word: Arc<[bool]>,
    },
    /// A share of all tokens.
    Count {
        /// The most that are chosen.
        most: usize,
    },
}

/// A token to predict: its place in the row and what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedToken {
    /// Its place in the row.
    pub position: usize,
    /// What it was.
    pub label: u32,
}

impl Masking {
    pub(crate) fn new(tokenizer: &TextTokenizer, config: &DataConfig) -> Self {
        let choice = match config.objective {
            Objective::Mlm if config.whole_word_masking => {
                Choice::Chance { continues_word: tokenizer.continuation_table().into() }
            }
            Objective::Mlm | Objective::Distill => {
                Choice::Chance { continues_word: Arc::default() }
            }
            Objective::MlmSop => Choice::Count {
                most: if config.max_predictions == 0 { usize::MAX } else { config.max_predictions },
            },
        };
        Self {
            probability: config.mlm_probability,
            mask: tokenizer.special_ids().mask,
            vocab_size: tokenizer.vocab_size() as u32,
            special: tokenizer.special_table().into(),
            choice,
            hides: config.objective.hides_tokens(),
        }
    }

    /// The rule for ids of a vocabulary without a tokenizer: each one but those that are `special` is chosen with `probability`. A
    /// random token is one of those of which `special` says something.
    pub fn of_ids(probability: f64, mask: u32, special: Vec<bool>) -> Self {
        Self {
            probability,
            mask,
            vocab_size: special.len() as u32,
            special: special.into(),
            choice: Choice::Chance { continues_word: Arc::default() },
            hides: true,
        }
    }

    /// The same rule, by which another share is chosen.
    pub(crate) fn with_probability(&self, probability: f64) -> Self {
        Self { probability, ..self.clone() }
    }

    /// Masks `input_ids` in place, if tokens are hidden at all; the chosen tokens come in ascending order.
    ///
    /// # Panics
    /// If an id is none of the vocabulary.
    pub fn apply(&self, input_ids: &mut [u32], random: &mut impl Rng) -> Vec<MaskedToken> {
        match &self.choice {
            Choice::Chance { continues_word } => self.by_chance(continues_word, input_ids, random),
            Choice::Count { most } => self.by_count(*most, input_ids, random),
        }
    }

    fn by_chance(
        &self,
        continues_word: &[bool],
        input_ids: &mut [u32],
        random: &mut impl Rng,
    ) -> Vec<MaskedToken> {
        let mut chosen = Vec::new();
        let mut word_chosen = false;
        let mut within_word = false;
        for (position, token) in input_ids.iter_mut().enumerate() {
            let label = *token;
            if self.special[label as usize] {
                within_word = false;
                continue;
            }
            let continues = continues_word.get(label as usize).copied().unwrap_or(false);
            if !(continues && within_word) {
                word_chosen = unit(random) < self.probability;
            }
            within_word = true;
            if word_chosen {
                chosen.push(MaskedToken { position, label });
                *token = self.hide(label, 0, random);
            }
        }
        chosen
    }

    fn by_count(
        &self,
        most: usize,
        input_ids: &mut [u32],
        random: &mut impl Rng,
    ) -> Vec<MaskedToken> {
        let mut positions: Vec<usize> = (0..input_ids.len())
            .filter(|position| !self.special[input_ids[*position] as usize])
            .collect();
        let count = most.min((positions.len() as f64 * self.probability) as usize);
        // The first steps of a Fisher–Yates shuffle: a sample without replacement.
        for place in 0..count {
            let rest = (positions.len() - place) as u32;
            positions.swap(place, place + below(random, rest) as usize);
        }
        positions.truncate(count);
        positions.sort_unstable();
        let hide = |position: usize| {
            let label = input_ids[position];
            input_ids[position] = self.hide(label, 1, random);
            MaskedToken { position, label }
        };
        positions.into_iter().map(hide).collect()
    }

    /// What stands in a chosen token's place; a random one has an id of `lowest` or above.
    fn hide(&self, token: u32, lowest: u32, random: &mut impl Rng) -> u32 {
        if !self.hides {
            return token;
        }
        let draw = unit(random);
        if draw < MASKED {
            self.mask
        } else if draw < MASKED + REPLACED {
            lowest + below(random, self.vocab_size - lowest)
        } else {
            token
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    /// Ids 0 to 4 are special, 4 the mask; odd ids above go on with a word.
    fn masking(probability: f64, whole_words: bool) -> Masking {
        let continues_word = if whole_words {
            (0..1_000).map(|id| id > 5 && id % 2 == 1).collect()
        } else {
            Arc::default()
        };
        of_choice(probability, Choice::Chance { continues_word })
    }

    /// The masking of `mlm_sop`, with the same special tokens.
    pub(crate) fn counting(probability: f64, most: usize, vocab_size: u32) -> Masking {
        Masking { vocab_size, ..of_choice(probability, Choice::Count { most }) }
    }

    fn of_choice(probability: f64, choice: Choice) -> Masking {
        Masking {
            probability,
            mask: 4,
            vocab_size: 1_000,
            special: (0..1_000).map(|id| id < 5).collect(),
            choice,
            hides: true,
        }
    }

    #[test]
    fn tokens_that_are_compared_are_chosen_and_stay() {
        let original: Vec<u32> = (0..20_000).map(|index| index % 1_000).collect();
        let mut row = original.clone();
        let rule = Masking { hides: false, ..masking(0.15, false) };
        let chosen = rule.apply(&mut row, &mut generator(0, Purpose::TrainMask, 0, 0));
        assert_eq!(row, original);
        assert!((2_700..3_300).contains(&chosen.len()), "{}", chosen.len());
        assert!(chosen.iter().all(|token| token.label > 4));
    }

    #[test]
    fn fifteen_in_a_hundred_are_chosen_and_split_80_10_10() {
        let original: Vec<u32> = (0..200_000).map(|index| 5 + index % 995).collect();
        let mut masked = original.clone();
        let chosen =
            masking(0.15, false).apply(&mut masked, &mut generator(0, Purpose::TrainMask, 0, 0));
        let share = |count: usize, of: usize| count as f64 / of as f64;
        assert!((share(chosen.len(), original.len()) - 0.15).abs() < 0.005);
        let hidden = chosen.iter().filter(|token| masked[token.position] == 4).count();
        let kept = chosen.iter().filter(|token| masked[token.position] == token.label).count();
        assert!((share(hidden, chosen.len()) - 0.8).abs() < 0.01);
        assert!((share(kept, chosen.len()) - 0.1).abs() < 0.01);
        let mut restored = masked;
        for token in &chosen {
            restored[token.position] = token.label;
        }
        assert_eq!(restored, original, "only chosen tokens may change");
    }

    #[test]
    fn special_tokens_are_never_chosen() {
        let mut ids = vec![2, 10, 3, 11, 0, 1];
        let chosen =
            masking(1.0, false).apply(&mut ids, &mut generator(0, Purpose::TrainMask, 0, 0));
        assert_eq!(chosen.iter().map(|token| token.position).collect::<Vec<_>>(), [1, 3]);
        assert_eq!([ids[0], ids[2], ids[4], ids[5]], [2, 3, 0, 1]);
    }

    #[test]
    fn whole_words_are_chosen_together() {
        // Words of three tokens, with a special token now and then in the middle of one.
        let ids: Vec<u32> = (0..3_000)
            .map(|index| match (index % 3, index % 100) {
                (_, 50) => 3,
                (0, _) => 10,
                _ => 11,
            })
            .collect();
        let mut masked = ids.clone();
        let chosen =
            masking(0.3, true).apply(&mut masked, &mut generator(5, Purpose::TrainMask, 0, 0));
        let is_chosen: std::collections::HashSet<usize> =
            chosen.iter().map(|token| token.position).collect();
        for position in 1..ids.len() {
            if ids[position] == 11 && ids[position - 1] > 4 {
                assert_eq!(is_chosen.contains(&position), is_chosen.contains(&(position - 1)));
            }
        }
        assert!(!is_chosen.is_empty() && is_chosen.len() < ids.len() / 2);
    }
    #[test]
    fn an_exact_number_is_chosen_at_all_places_alike() {
        // 40 tokens of text between special ones: six of them.
        let original: Vec<u32> =
            (0..44).map(|id| if id % 11 == 0 { 3 } else { 100 + id }).collect();
        let masking = counting(0.15, 80, 1_000);
        let mut chosen_at = [0u32; 44];
        for trial in 0..20_000 {
            let mut ids = original.clone();
            let chosen = masking.apply(&mut ids, &mut generator(0, Purpose::TrainMask, 0, trial));
            assert_eq!(chosen.len(), 6);
            assert!(chosen.windows(2).all(|pair| pair[0].position < pair[1].position));
            for token in chosen {
                assert_eq!(token.label, original[token.position]);
                chosen_at[token.position] += 1;
            }
        }
        for (position, count) in chosen_at.into_iter().enumerate() {
            // 3,000 expected; a standard deviation of 50.5.
            let expected = if position % 11 == 0 { 0..1 } else { 2_798..3_203 };
            assert!(expected.contains(&count), "{count} at {position}");
        }
    }

    #[test]
    fn the_number_is_rounded_down_and_capped() {
        let count = |tokens: usize, probability, most| {
            let mut ids = vec![7; tokens];
            let random = &mut generator(0, Purpose::TrainMask, 0, 0);
            counting(probability, most, 1_000).apply(&mut ids, random).len()
        };
        assert_eq!(count(6, 0.15, 80), 0);
        assert_eq!(count(7, 0.15, 80), 1);
        assert_eq!(count(13, 0.15, 80), 1);
        assert_eq!(count(509, 0.15, 80), 76);
        assert_eq!(count(1_021, 0.15, 80), 80);
        assert_eq!(count(1_021, 0.15, usize::MAX), 153);
        assert_eq!(count(9, 1.0, 80), 9);
        assert_eq!(count(0, 1.0, 80), 0);
    }

    #[test]
    fn counted_tokens_are_hidden_80_10_10_and_never_by_padding() {
        // With a vocabulary of two ids and the mask, a random id can only be 1.
        let mut ids = vec![5; 200_000];
        let masking = Masking { mask: 9, ..counting(1.0, usize::MAX, 2) };
        let chosen = masking.apply(&mut ids, &mut generator(1, Purpose::TrainMask, 0, 0));
        assert_eq!(chosen.len(), ids.len());
        for (id, share) in [(9, 0.8), (1, 0.1), (5, 0.1), (0, 0.0)] {
            let found = ids.iter().filter(|found| **found == id).count() as f64 / 200_000.0;
            assert!((found - share).abs() < 0.004, "{found} of id {id}");
        }
    }
}
