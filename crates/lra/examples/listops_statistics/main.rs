//! Prints statistics of generated ListOps expressions as JSON, and checks the evaluator on files.
//!
//! ```text
//! cargo run --release --example listops_statistics -- SEED [FILE…]
//! ```
//!
//! Generates splits of the Long Range Arena's sizes in memory. A `FILE` holds expressions with their values, as
//! `basic_*.tsv` does or as `label TAB expression`.

#![allow(clippy::print_stdout, reason = "a program of the command line")]

mod direct_digits;
mod statistics;

use std::path::Path;

use nystromformer_lra::listops::{Expression, GeneratorConfig, LRA_SIZES, expressions};
use nystromformer_tasks::{Example, Input, Keep, Label, Truncation};
use serde_json::json;

use self::statistics::{
    Statistics, check, constant_accuracy, direct_digits_accuracies, root_operator_accuracy,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((seed, files)) = arguments.split_first() else {
        return Err("usage: listops_statistics SEED [FILE…]".into());
    };
    let mut generated = expressions(GeneratorConfig::default(), seed.parse()?)?;
    let mut count = |examples| {
        let next = generated.by_ref().take(examples);
        Statistics::count(next.map(|expression| expression.map(example)))
    };
    let test = count(LRA_SIZES.test)?;
    let validation = count(LRA_SIZES.validation)?;
    let train = count(LRA_SIZES.train)?;
    let mut checks = serde_json::Map::new();
    for file in files {
        checks.insert(file.clone(), json!(check(Path::new(file))?));
    }
    let direct_digits: serde_json::Map<_, _> = direct_digits_accuracies(&train, &test)
        .into_iter()
        .map(|(kept, accuracy)| (name(kept), json!(accuracy)))
        .collect();
    let report = json!({
        "acceptance_rate": generated.given() as f64 / generated.drawn() as f64,
        "train": train.summary(),
        "validation": validation.summary(),
        "test": test.summary(),
        "constant_predictor_accuracy": constant_accuracy(&train, &test),
        "constant_predictor_accuracy_on_train": constant_accuracy(&train, &train),
        "root_operator_predictor_accuracy": root_operator_accuracy(&train, &test),
        "root_operator_predictor_accuracy_on_train": root_operator_accuracy(&train, &train),
        "direct_digits_predictor_accuracy": direct_digits,
        "evaluator": checks,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn name(kept: Truncation) -> String {
    match (kept.keep, kept.max_length) {
        (_, usize::MAX) => "all symbols".to_owned(),
        (Keep::Head, length) => format!("first {length} symbols"),
        (Keep::Tail, length) => format!("last {length} symbols"),
        (Keep::HeadTail, length) => format!("first and last {} symbols", length / 2),
    }
}

fn example(expression: Expression) -> Example {
    let first = expression.tokens.iter().map(|token| token.id()).collect();
    Example {
        row: None,
        id: None,
        input: Input::Ids { first, second: None },
        label: Some(Label::Class(u16::from(expression.value))),
    }
}
