//! Tiny models with their tokenizers, and what transformers' pipelines answer (`tools/reference`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use nystromformer_pipelines::{
    AnswerStream, Batching, LineForm, Pipeline, PipelineError, Placed, Request, RequestOptions,
    Requests,
};
use serde_json::Value;

/// Numbers may differ by so much: transformers computes in single precision.
const TOLERANCE: f64 = 1e-5;

/// The folder of a model.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Requests under certain options, and the answer to each.
pub(crate) struct Case {
    pub(crate) options: Value,
    pub(crate) requests: Vec<Value>,
    pub(crate) answers: Vec<Value>,
}

/// The cases of a model.
pub(crate) fn cases(name: &str) -> Vec<Case> {
    let cases = fs::read(folder(name).join("answers.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let case = |case: &Value| Case {
        options: case["options"].clone(),
        requests: list(&case["requests"]),
        answers: list(&case["answers"]),
    };
    assert!(!cases.is_empty());
    cases.iter().map(case).collect()
}

/// Requests from lines of JSON.
pub(crate) fn requests<T: Request>(lines: &[Value]) -> Vec<Result<Placed<T>, PipelineError>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    Requests::open(file.path(), LineForm::Json, &RequestOptions::default()).unwrap().collect()
}

/// What a pipeline answers to lines of JSON, in batches of `batch_size`.
pub(crate) fn answers<P: Pipeline>(pipeline: &P, lines: &[Value], batch_size: usize) -> Vec<Value> {
    let batching = Batching::new(batch_size.try_into().unwrap());
    let answers = AnswerStream::new(pipeline, requests(lines), batching);
    answers.map(|answer| serde_json::to_value(answer.unwrap()).unwrap()).collect()
}

/// Asserts that two answers have the same fields, strings and whole numbers, and fractions that differ by the
/// tolerance at most.
pub(crate) fn assert_same(found: &Value, expected: &Value, what: &str) {
    let same = match (found, expected) {
        (Value::Object(left), Value::Object(right)) => {
            assert_eq!(
                left.keys().collect::<Vec<_>>(),
                right.keys().collect::<Vec<_>>(),
                "{what}: {found} is not {expected}"
            );
            left.iter().for_each(|(key, value)| assert_same(value, &right[key], what));
            true
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{what}: {found} is not {expected}");
            left.iter().zip(right).for_each(|(left, right)| assert_same(left, right, what));
            true
        }
        (Value::Number(left), Value::Number(right)) if right.is_f64() => {
            let [left, right] = [left, right].map(|number| number.as_f64().unwrap());
            // Hidden states are not probabilities: their scale counts too.
            (left - right).abs() <= TOLERANCE * right.abs().max(1.0)
        }
        (left, right) => left == right,
    };
    assert!(same, "{what}: {found} is not {expected}");
}

/// Asserts that a pipeline made from a case's options answers as the case says, one by one and in batches.
pub(crate) fn assert_answers<P: Pipeline>(pipeline: &P, name: &str, case: &Case) {
    assert_eq!(case.requests.len(), case.answers.len());
    for batch_size in [1, 3, 64] {
        let found = answers(pipeline, &case.requests, batch_size);
        assert_eq!(found.len(), case.answers.len());
        for ((found, expected), request) in found.iter().zip(&case.answers).zip(&case.requests) {
            let what = format!("{name} {}, batches of {batch_size}, {request}", case.options);
            assert_same(found, expected, &what);
        }
    }
}
