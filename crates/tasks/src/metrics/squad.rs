//! How right the answers to questions are, by the rules of `SQuAD`'s official scripts (`evaluate-v1.1.py`, Rajpurkar et al.
//! 2016; `evaluate-v2.0.py`, Rajpurkar et al. 2018). Scores are percentages, as there and in Hugging Face's `evaluate`.

use std::collections::{BTreeMap, HashMap};

/// Which of the two scripts is followed. They differ if normalisation leaves nothing of an answer: in v1.1 its F1 is 0, in v2.0 an empty
/// answer to a question without one is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SquadVersion {
    /// Every question has an answer.
    V1,
    /// Some have none.
    V2,
}

/// A text as answers are compared: in lower case, without ASCII punctuation, without the words "a", "an" and "the", and with
/// single blanks.
pub fn normalize_answer(text: &str) -> String {
    let lower = text.to_lowercase();
    let plain: String =
        lower.chars().filter(|character| !character.is_ascii_punctuation()).collect();
    let mut kept = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    // A word is a run of what Python's `\w` matches, without combining vowel signs: those never touch an English article.
    while let Some(first) = rest.chars().next() {
        let in_word = first.is_alphanumeric();
        let end = rest.find(|next: char| next.is_alphanumeric() != in_word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(if in_word && matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    let words: Vec<&str> = kept.split(is_blank).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// What Python's `str.split` takes for a blank.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Whether two answers are the same once normalised.
pub fn exact_match(prediction: &str, answer: &str) -> bool {
    normalize_answer(prediction) == normalize_answer(answer)
}

/// The F1 of the words of a prediction against those of an answer, from 0 to 1.
pub fn token_f1(prediction: &str, answer: &str, version: SquadVersion) -> f64 {
    let (prediction, answer) = (normalize_answer(prediction), normalize_answer(answer));
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).count();
    let (predicted, right) = (words(&prediction), words(&answer));
    if predicted == 0 || right == 0 {
        return f64::from(u8::from(version == SquadVersion::V2 && predicted == right));
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in answer.split(' ') {
        *counts.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in prediction.split(' ') {
        if let Some(count) = counts.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let precision = f64::from(common) / predicted as f64;
    let recall = f64::from(common) / right as f64;
    2.0 * precision * recall / (precision + recall)
}

/// How right the answer to one question is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuestionScore {
    /// 1 if it is the same as one of the right answers, else 0.
    pub exact: f64,
    /// F1 of its words, with the right answer that it is nearest to; from 0 to 1.
    pub f1: f64,
    /// Whether the question has an answer.
    pub has_answer: bool,
    /// Whether an answer was given: a text that is not empty.
    pub is_answered: bool,
    /// How sure it is that there is no answer; the larger, the surer.
    pub no_answer: f64,
}

impl QuestionScore {
    /// Scores a prediction by the nearest of the right `answers`, of which there are none if the question has no answer.
    pub fn new<'a>(
        prediction: &str,
        answers: impl IntoIterator<Item = &'a str>,
        no_answer: f64,
        version: SquadVersion,
    ) -> Self {
        let mut answers: Vec<&str> = answers.into_iter().collect();
        let has_answer = !answers.is_empty();
        if version == SquadVersion::V2 {
            answers.retain(|answer| !normalize_answer(answer).is_empty());
        }
        if answers.is_empty() {
            answers.push("");
        }
        let best = |score: &dyn Fn(&str) -> f64| {
            answers.iter().map(|answer| score(answer)).fold(0.0, f64::max)
        };
        Self {
            exact: best(&|answer| f64::from(u8::from(exact_match(prediction, answer)))),
            f1: best(&|answer| token_f1(prediction, answer, version)),
            has_answer,
            is_answered: !prediction.is_empty(),
            no_answer,
        }
    }

    /// The score of the same answer where "no answer" is given in its place if [`no_answer`](Self::no_answer) is above a
    /// threshold.
    #[must_use]
    pub fn with_threshold(self, threshold: f64) -> Self {
        if self.no_answer <= threshold || self.no_answer.is_nan() {
            return self;
        }
        let right = f64::from(u8::from(!self.has_answer));
        Self { exact: right, f1: right, is_answered: false, ..self }
    }
}

/// A threshold above which "no answer" is given, and the score with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestThreshold {
    /// In percent.
    pub score: f64,
    /// Of [`QuestionScore::no_answer`].
    pub threshold: f64,
}

/// The threshold of the best sum of `score`, as `evaluate-v2.0.py` searches it; the scores are those without any threshold.
///
/// The search starts with no question answered. That script calls this a threshold of 0, because its values are probabilities;
/// here it is called `none`.
pub fn best_threshold(
    questions: &[QuestionScore],
    score: impl Fn(&QuestionScore) -> f64,
    none: f64,
) -> BestThreshold {
    let mut order: Vec<&QuestionScore> = questions.iter().collect();
    order.sort_by(|left, right| left.no_answer.total_cmp(&right.no_answer));
    let mut sum = questions.iter().filter(|question| !question.has_answer).count() as f64;
    let mut best = BestThreshold { score: sum, threshold: none };
    for question in order {
        sum += match (question.has_answer, question.is_answered) {
            (true, _) => score(question),
            (false, true) => -1.0,
            (false, false) => 0.0,
        };
        if sum > best.score {
            best = BestThreshold { score: sum, threshold: question.no_answer };
        }
    }
    BestThreshold { score: 100.0 * best.score / questions.len() as f64, ..best }
}

/// The scores of all questions by their official names: `exact_match` (`exact` in v2.0) and `f1`; in v2.0 also `HasAns_…` and
/// `NoAns_…` of the questions with and without an answer, where there are such, and `best_exact`, `best_f1` with their
/// thresholds. With a threshold, questions above it count as answered by "no answer", but not in the search for the best. Without
/// questions all scores are NaN.
pub fn squad_scores(
    questions: &[QuestionScore],
    version: SquadVersion,
    threshold: Option<f64>,
) -> BTreeMap<String, f64> {
    let told: Vec<QuestionScore> = questions
        .iter()
        .map(|question| threshold.map_or(*question, |threshold| question.with_threshold(threshold)))
        .collect();
    let mut scores = BTreeMap::new();
    let mut add = |prefix: &str, exact: &str, of: &[&QuestionScore]| {
        let percent = |score: fn(&QuestionScore) -> f64| {
            100.0 * of.iter().map(|question| score(question)).sum::<f64>() / of.len() as f64
        };
        scores.insert(format!("{prefix}{exact}"), percent(|question| question.exact));
        scores.insert(format!("{prefix}f1"), percent(|question| question.f1));
    };
    add("", "exact_match", &told.iter().collect::<Vec<_>>());
    if version == SquadVersion::V2 {
        for (prefix, has_answer) in [("HasAns_", true), ("NoAns_", false)] {
            let part: Vec<&QuestionScore> =
                told.iter().filter(|question| question.has_answer == has_answer).collect();
            if !part.is_empty() {
                add(prefix, "exact", &part);
            }
        }
        for (name, score) in [
            ("best_exact", (|question| question.exact) as fn(&QuestionScore) -> f64),
            ("best_f1", |question| question.f1),
        ] {
            let best = best_threshold(questions, score, 0.0);
            scores.insert(name.to_owned(), best.score);
            scores.insert(format!("{name}_thresh"), best.threshold);
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_compared_without_articles_punctuation_and_blanks() {
        for (text, normal) in [
            ("The  Panthers' defence!", "panthers defence"),
            ("a\u{a0}cat\tan \u{1c} hour", "cat hour"),
            ("A.N.", ""),
            ("theatre an_a", "theatre ana"),
            ("a–b “The”", "–b “ ”"),
            ("ΟΔΟΣ", "οδος"),
            ("", ""),
        ] {
            let normalised = normalize_answer(text);
            // The Greek word ends in a final sigma.
            assert_eq!(normalised.replace('ς', "σ"), normal.replace('ς', "σ"), "{text}");
        }
    }

    #[test]
    fn f1_counts_each_word_as_often_as_it_is_there() {
        let f1 = |prediction, answer| token_f1(prediction, answer, SquadVersion::V1);
        assert_eq!(f1("the big big cat", "big cat"), 2.0 * (2.0 / 3.0) / (2.0 / 3.0 + 1.0));
        assert_eq!(f1("cat", "dog"), 0.0);
        assert_eq!(f1("", ""), 0.0);
        assert_eq!(token_f1("the", "", SquadVersion::V2), 1.0);
        assert_eq!(token_f1("", "cat", SquadVersion::V2), 0.0);
    }

    #[test]
    fn the_nearest_of_several_answers_counts() {
        let score = QuestionScore::new("big cat", ["dog", "the big cat"], 0.0, SquadVersion::V1);
        assert_eq!((score.exact, score.f1), (1.0, 1.0));
        let none = QuestionScore::new("", [], 0.0, SquadVersion::V2);
        assert!((none.exact, none.f1) == (1.0, 1.0) && !none.has_answer);
        assert_eq!(QuestionScore::new("cat", [], 0.0, SquadVersion::V2).f1, 0.0);
        // Nothing is left of an article: there is an answer, and an empty one is right.
        let article = QuestionScore::new("", ["The"], 0.0, SquadVersion::V2);
        assert!(article.has_answer && article.exact == 1.0);
    }

    #[test]
    fn of_no_questions_nothing_is_known() {
        let scores = squad_scores(&[], SquadVersion::V2, None);
        assert!(scores["exact_match"].is_nan() && scores["best_f1"].is_nan());
        assert!(!scores.contains_key("HasAns_f1"));
    }

    proptest! {
        /// The best score is what the scores are with its threshold, where no two questions share a value.
        #[test]
        fn the_best_threshold_gives_the_best_score(
            questions in prop::collection::vec((0.0..1.0f64, any::<bool>(), any::<bool>()), 1..30)
        ) {
            let questions: Vec<QuestionScore> = questions
                .into_iter()
                .enumerate()
                .map(|(place, (f1, has_answer, is_answered))| QuestionScore {
                    exact: f1.round(),
                    f1: match (has_answer, is_answered) {
                        (true, true) => f1,
                        (true, false) => 0.0,
                        (false, answered) => f64::from(u8::from(!answered)),
                    },
                    has_answer,
                    is_answered,
                    no_answer: (place * 7919 % 101) as f64,
                })
                .collect();
            let best = best_threshold(&questions, |question| question.f1, -1.0);
            let with = |threshold: f64| {
                let told = questions.iter().map(|question| question.with_threshold(threshold).f1);
                100.0 * told.sum::<f64>() / questions.len() as f64
            };
            prop_assert!((with(best.threshold) - best.score).abs() < 1e-9);
            for threshold in -1..101 {
                prop_assert!(with(f64::from(threshold)) <= best.score + 1e-9);
            }
        }
    }
}
