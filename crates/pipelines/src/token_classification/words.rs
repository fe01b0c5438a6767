//! Tokens of a word agree on one class.

use nystromformer_data::TextTokenizer;

use super::{Aggregation, entities::LabelledToken, tokens::Token};
use crate::{error::PipelineError, scores::argmax};

/// Words in place of their tokens, each with the class that `strategy` says.
pub(super) fn agree(
    tokenizer: &TextTokenizer,
    tokens: Vec<Token>,
    strategy: Aggregation,
) -> Result<Vec<LabelledToken>, PipelineError> {
    let words = tokens.chunk_by(|_, next| next.is_subword);
    words
        .map(|word| {
            let scores = word_scores(word, strategy);
            let class = argmax(&scores);
            let spelt = word.iter().map(|token| token.word.clone()).collect();
            Ok(LabelledToken {
                class,
                score: scores[class],
                index: word[0].index,
                word: tokenizer.tokens_to_string(spelt)?,
                start: word[0].start,
                end: word[word.len() - 1].end,
            })
        })
        .collect()
}

/// The scores that speak for a word.
fn word_scores(word: &[Token], strategy: Aggregation) -> Vec<f64> {
    match strategy {
        Aggregation::Average => {
            let mean = |class: usize| {
                word.iter().map(|token| token.scores[class]).sum::<f64>() / word.len() as f64
            };
            (0..word[0].scores.len()).map(mean).collect()
        }
        Aggregation::Max => {
            let surest: Vec<f64> =
                word.iter().map(|token| token.scores[argmax(&token.scores)]).collect();
            word[argmax(&surest)].scores.clone()
        }
        Aggregation::None | Aggregation::Simple | Aggregation::First => word[0].scores.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_by_hand() {
        let token = |scores: [f64; 3]| Token {
            index: 0,
            word: String::new(),
            scores: scores.to_vec(),
            start: 0,
            end: 0,
            is_subword: false,
        };
        let word = [token([0.6, 0.4, 0.0]), token([0.0, 0.3, 0.7]), token([0.2, 0.6, 0.2])];
        assert_eq!(word_scores(&word, Aggregation::First), [0.6, 0.4, 0.0]);
        assert_eq!(word_scores(&word, Aggregation::Max), [0.0, 0.3, 0.7]);
        let average = word_scores(&word, Aggregation::Average);
        assert_eq!(argmax(&average), 1);
        assert!((average[1] - 1.3 / 3.0).abs() < 1e-12);
    }
}
