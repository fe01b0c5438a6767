//! Which examples are drawn, where not all are wanted.

use nystromformer_tasks::{
    Example, ExampleReader, Label, Split, Targets, TaskConfig, sample, strata,
};

use crate::error::Result;
use crate::task_batches::encoded::EncodedSplit;

/// The examples of a split, drawn if there are more than `limit`, unless that is 0.
pub(in crate::task_batches) fn limited(
    task: &TaskConfig,
    targets: &Targets,
    seq_len: usize,
    split: Split,
    limit: usize,
) -> Result<Option<ExampleReader>> {
    let read = || task.examples(split, targets, seq_len);
    if limit == 0 {
        return Ok(read()?);
    }
    // Read twice, first for the labels alone: only what is drawn is in memory.
    let Some(examples) = read()? else { return Ok(None) };
    // Of labels that no example is drawn by nothing is kept either.
    let drawn_by =
        |label: Label| matches!(label, Label::Class(_) | Label::Classes(_)).then_some(label);
    let labels = examples
        .map(|example| example.map(|example| example.label.and_then(drawn_by)))
        .collect::<Result<Vec<Option<Label>>, _>>()?;
    let strata = strata(labels.iter().map(Option::as_ref));
    let drawn = sample(&strata, limit, task.options.split_seed, split.name());
    let Some(examples) = read()? else { return Ok(None) };
    let mut wanted = drawn.into_iter().peekable();
    let drawn = examples.enumerate().filter_map(move |(place, example)| {
        let is_drawn = wanted.next_if_eq(&place).is_some();
        let numbered = |example: Example| {
            let row = example.row.or(Some(place));
            Example { row, ..example }
        };
        (is_drawn || example.is_err()).then(|| example.map(numbered))
    });
    Ok(Some(Box::new(drawn)))
}

/// What is kept of the held-out places.
pub(super) fn limit_held_out(
    train: &EncodedSplit,
    held_out: &[usize],
    task: &TaskConfig,
) -> Vec<usize> {
    let strata = strata_of(train, held_out);
    let options = &task.options;
    let kept = sample(&strata, options.max_eval_samples, options.split_seed, "held out");
    kept.into_iter().map(|place| held_out[place]).collect()
}

/// What the examples at these places are drawn evenly by.
pub(super) fn strata_of(examples: &EncodedSplit, places: &[usize]) -> Vec<Option<u16>> {
    strata(places.iter().map(|place| examples.labels()[*place].as_ref()))
}
