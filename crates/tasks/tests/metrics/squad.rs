//! Answers and their scores against transformers and exact arithmetic, as `tools/reference/generate_qa_fixtures.py` wrote them.

use std::collections::BTreeMap;

use nystromformer_tasks::metrics::{QuestionScore, SquadVersion, squad_scores};
use nystromformer_tasks::qa::{AnswerSearch, WindowLogits};
use serde::Deserialize;

/// Relative, and absolute below 1.
const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    scores: Vec<Scores>,
    answers: Vec<Answers>,
}

#[derive(Deserialize)]
struct Scores {
    about: String,
    version: u8,
    threshold: Option<f64>,
    questions: Vec<Question>,
    /// Exact match and F1 of each question.
    each: Vec<(f64, f64)>,
    expected: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Question {
    prediction: String,
    answers: Vec<String>,
    no_answer: f64,
}

#[derive(Deserialize)]
struct Answers {
    about: String,
    context: String,
    windows: Vec<Window>,
    options: Options,
    nbest: Vec<Candidate>,
    score_diff: Option<f64>,
}

#[derive(Deserialize)]
struct Window {
    start: Vec<f32>,
    end: Vec<f32>,
    offsets: Vec<Option<(usize, usize)>>,
}

#[derive(Deserialize)]
struct Options {
    n_best_size: usize,
    max_answer_length: usize,
    version_2_with_negative: bool,
}

#[derive(Deserialize)]
struct Candidate {
    start_logit: f32,
    end_logit: f32,
    text: String,
    probability: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/squad.json")).unwrap()
}

fn assert_close(got: f64, expected: f64, what: &str) {
    let tolerance = TOLERANCE * expected.abs().max(1.0);
    assert!((got - expected).abs() <= tolerance, "{what}: {got:?} instead of {expected:?}");
}

#[test]
fn scores_are_those_of_the_official_scripts() {
    for case in fixture().scores {
        let version = if case.version == 2 { SquadVersion::V2 } else { SquadVersion::V1 };
        let scores: Vec<QuestionScore> = case
            .questions
            .iter()
            .map(|question| {
                let answers = question.answers.iter().map(String::as_str);
                QuestionScore::new(&question.prediction, answers, question.no_answer, version)
            })
            .collect();
        for (question, (score, (exact, f1))) in
            case.questions.iter().zip(scores.iter().zip(&case.each))
        {
            let what = format!("{}: {:?}", case.about, question.prediction);
            assert_close(score.exact, *exact, &what);
            assert_close(score.f1, *f1, &what);
        }
        let found = squad_scores(&scores, version, case.threshold);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            case.expected.keys().collect::<Vec<_>>(),
            "{}",
            case.about
        );
        for (name, expected) in case.expected {
            assert_close(found[&name], expected, &format!("{}: {name}", case.about));
        }
    }
}

#[test]
fn answers_are_those_of_run_qa() {
    for case in fixture().answers {
        let search = AnswerSearch {
            n_best_size: case.options.n_best_size.try_into().unwrap(),
            max_answer_length: case.options.max_answer_length.try_into().unwrap(),
            version_2_with_negative: case.options.version_2_with_negative,
            ..AnswerSearch::default()
        };
        let windows = case.windows.iter().map(|window| WindowLogits {
            start: &window.start,
            end: &window.end,
            offsets: &window.offsets,
            cls: 0,
        });
        let found = search.candidates(windows, &case.context);
        assert_eq!(found.candidates.len(), case.nbest.len(), "{}", case.about);
        for (candidate, expected) in found.candidates.iter().zip(&case.nbest) {
            assert_eq!(candidate.text, expected.text, "{}", case.about);
            assert_eq!(candidate.start_logit, expected.start_logit, "{}", case.about);
            assert_eq!(candidate.end_logit, expected.end_logit, "{}", case.about);
            assert_close(candidate.probability, expected.probability, &case.about);
        }
        match case.score_diff {
            Some(expected) => assert_eq!(found.score_diff(), expected, "{}", case.about),
            None => assert_eq!(found.no_answer, None),
        }
    }
}
