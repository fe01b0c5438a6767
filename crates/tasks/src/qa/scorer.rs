//! How good answers are: `SQuAD`'s metrics, and the threshold of "no answer".

use std::collections::BTreeMap;

use nystromformer_data::DataError;

use super::{AnswerCandidates, NULL_SCORE_DIFF_THRESHOLD};
use crate::example::Label;
use crate::labelled::Targets;
use crate::metrics::{
    LabelledPrediction, MetricName, QuestionScore, Scorer, SquadVersion, Thresholds,
    best_threshold, squad_scores,
};
use crate::prediction::Prediction;

/// Measures answers by the rules of `SQuAD` v1.1, or of v2.0 where a question may have no answer.
#[derive(Debug, Clone)]
pub(super) struct SquadScorer {
    version: SquadVersion,
    /// The threshold of "no answer"; chosen on the validation split where it is not set.
    threshold: Option<f64>,
}

/// The threshold that was chosen, of v2.0; 0 as in `run_qa` where none was.
pub(super) fn threshold_in(thresholds: &Thresholds) -> f64 {
    thresholds.get(NULL_SCORE_DIFF_THRESHOLD).copied().unwrap_or(0.0)
}

impl SquadScorer {
    pub(super) fn new(targets: &Targets, threshold: Option<f64>) -> Self {
        let version = match targets {
            Targets::Answers(search) if search.version_2_with_negative => SquadVersion::V2,
            _ => SquadVersion::V1,
        };
        Self { version, threshold }
    }

    /// The scores of the answers without a threshold: "no answer" is never given where there is a text.
    fn questions(&self, answered: &[LabelledPrediction<'_>]) -> Vec<QuestionScore> {
        let score = |answered: &LabelledPrediction<'_>| {
            let (Prediction::Answers(candidates), Label::Answers(answers)) =
                (answered.prediction, answered.label)
            else {
                return None;
            };
            let text = self.best_text(candidates);
            let right = answers.iter().map(|answer| answer.text.as_str());
            Some(QuestionScore::new(text, right, candidates.score_diff(), self.version))
        };
        answered.iter().filter_map(score).collect()
    }

    fn best_text<'a>(&self, candidates: &'a AnswerCandidates) -> &'a str {
        let best = match self.version {
            SquadVersion::V1 => candidates.candidates.first(),
            SquadVersion::V2 => candidates.best(),
        };
        best.map_or("", |best| best.text.as_str())
    }
}

impl Scorer for SquadScorer {
    fn names(&self) -> Vec<MetricName> {
        ["f1", "exact_match"].map(MetricName::greater_is_better).into()
    }

    fn score(
        &self,
        answered: &[LabelledPrediction<'_>],
        thresholds: &Thresholds,
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let threshold = (self.version == SquadVersion::V2).then(|| threshold_in(thresholds));
        Ok(squad_scores(&self.questions(answered), self.version, threshold))
    }

    fn fixed_thresholds(&self) -> Option<Thresholds> {
        let threshold = self.threshold.filter(|_| self.version == SquadVersion::V2)?;
        Some(Thresholds::from([(NULL_SCORE_DIFF_THRESHOLD.to_owned(), threshold)]))
    }

    fn threshold_key(&self) -> Option<(&'static str, f64)> {
        let may_be_none = self.version == SquadVersion::V2;
        may_be_none.then(|| ("task.null_score_diff_threshold", threshold_in(&Thresholds::new())))
    }

    fn best_thresholds(
        &self,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<Thresholds, DataError> {
        if self.version == SquadVersion::V1 {
            return Ok(Thresholds::new());
        }
        let questions = self.questions(answered);
        let lowest = questions.iter().map(|question| question.no_answer);
        let lowest = lowest.fold(f64::INFINITY, f64::min);
        // A threshold below all of them gives "no answer" to every question. Without questions it is 0, as in `run_qa`.
        let none = if lowest.is_finite() { lowest - 1.0 } else { 0.0 };
        let threshold = best_threshold(&questions, |question| question.f1, none).threshold;
        Ok(Thresholds::from([(NULL_SCORE_DIFF_THRESHOLD.to_owned(), threshold)]))
    }

    /// Of questions that may have no answer: "no answer" to each.
    fn constant_predictor(
        &self,
        _: &mut dyn Iterator<Item = &Label>,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let questions = self.questions(answered);
        if self.version == SquadVersion::V1 || questions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let right = questions.iter().filter(|question| !question.has_answer).count();
        let percent = 100.0 * right as f64 / questions.len() as f64;
        Ok(["f1", "exact_match"].into_iter().map(|name| (name.to_owned(), percent)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::GoldAnswer;
    use crate::qa::{AnswerCandidate, AnswerSearch};

    fn prediction(text: &str, score: f32, no_answer: Option<f32>) -> Prediction {
        let candidate = AnswerCandidate {
            start_logit: score,
            end_logit: 0.0,
            text: text.to_owned(),
            probability: 1.0,
            start: 0,
            end: text.len(),
        };
        Prediction::Answers(AnswerCandidates { candidates: vec![candidate], no_answer })
    }

    fn scorer(version_2_with_negative: bool, threshold: Option<f64>) -> SquadScorer {
        let search = AnswerSearch { version_2_with_negative, ..AnswerSearch::default() };
        SquadScorer::new(&Targets::Answers(search), threshold)
    }

    fn label(texts: &[&str]) -> Label {
        let answer = |text: &&str| GoldAnswer { text: (*text).to_owned(), start: 0 };
        Label::Answers(texts.iter().map(answer).collect())
    }

    #[test]
    fn the_threshold_is_chosen_for_the_best_f1() {
        let scorer = scorer(true, None);
        let cases = [
            (prediction("cat", 5.0, Some(1.0)), label(&["the cat"])),
            (prediction("dog", 1.0, Some(2.0)), label(&[])),
            (prediction("ox", 1.0, Some(4.0)), label(&[])),
        ];
        let answered: Vec<LabelledPrediction<'_>> = cases
            .iter()
            .enumerate()
            .map(|(place, (prediction, label))| LabelledPrediction { place, prediction, label })
            .collect();
        let thresholds = scorer.best_thresholds(&answered).unwrap();
        assert_eq!(threshold_in(&thresholds), -4.0);
        let scores = scorer.score(&answered, &thresholds).unwrap();
        assert_eq!((scores["f1"], scores["exact_match"]), (100.0, 100.0));
        assert_eq!((scores["HasAns_f1"], scores["NoAns_f1"]), (100.0, 100.0));
        assert_eq!(scores["best_f1_thresh"], -4.0);
        let zero = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!(zero["NoAns_exact"], 100.0);
        let constant = scorer.constant_predictor(&mut std::iter::empty(), &answered).unwrap();
        assert!((constant["f1"] - 200.0 / 3.0).abs() < 1e-12);
        // Where "no answer" is right for all, it is given to all.
        let none = scorer.best_thresholds(&answered[1..]).unwrap();
        assert_eq!(scorer.score(&answered[1..], &none).unwrap()["f1"], 100.0);
        let told = self::scorer(true, Some(-9.0)).fixed_thresholds().unwrap();
        assert_eq!(threshold_in(&told), -9.0);
    }

    #[test]
    fn every_question_of_v1_is_answered() {
        let scorer = scorer(false, None);
        let (prediction, label) = (prediction("big cat", 1.0, None), label(&["cat", "a dog"]));
        let answered = [LabelledPrediction { place: 0, prediction: &prediction, label: &label }];
        assert!(scorer.best_thresholds(&answered).unwrap().is_empty());
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), ["exact_match", "f1"]);
        assert!((scores["f1"] - 200.0 / 3.0).abs() < 1e-12);
    }
}
