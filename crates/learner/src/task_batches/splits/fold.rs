//! The part of the training examples that a run is tested on (`task.folds`).

use nystromformer_tasks::{TaskConfig, folds};

use super::draws::strata_of;
use crate::error::{LearnerError, Result};
use crate::task_batches::encoded::EncodedSplit;

/// Takes the places of the fold that is tested on out of those that train.
///
/// # Errors
/// [`LearnerError::Data`] if there are not as many folds.
pub(super) fn take_fold(
    places: &mut Vec<usize>,
    train: &EncodedSplit,
    task: &TaskConfig,
) -> Result<Vec<usize>> {
    let options = &task.options;
    let fold_of: Vec<usize> = if let Some(contexts) = train.contexts() {
        // Questions about one text stay together: they teach each other's answers.
        let count = contexts.iter().max().map_or(0, |last| last + 1);
        require_folds(count, "texts that questions are about, which stay together", task)?;
        let of_context = folds(&vec![None; count], options.folds, options.split_seed);
        contexts.iter().map(|context| of_context[*context]).collect()
    } else {
        require_folds(places.len(), "training examples", task)?;
        folds(&strata_of(train, places), options.folds, options.split_seed)
    };
    let mut fold_of = fold_of.into_iter();
    // Places and their folds are in the same order.
    let is_tested = |_: &mut usize| fold_of.next().is_some_and(|fold| fold + 1 == options.fold);
    Ok(places.extract_if(.., is_tested).collect())
}

/// Refuses more folds than there is something to test each on. `count` of them are `what`.
fn require_folds(count: usize, what: &str, task: &TaskConfig) -> Result<()> {
    let wanted = task.options.folds;
    if count >= wanted {
        return Ok(());
    }
    let cure = match count {
        0 | 1 => "set `task.folds = 0`, and give a test file".to_owned(),
        count => format!("set `task.folds` to at most `{count}`"),
    };
    Err(LearnerError::Data(format!(
        "`task.folds` is `{wanted}`, and `{}` has `{count}` {what}: each fold needs one to be tested on; {cure}",
        task.path().display()
    )))
}

pub(super) fn tell_fold(train: &[usize], test: &[usize], task: &TaskConfig) {
    tracing::info!(
        "fold {} of {}: `{}` of the training examples are the test split, and `{}` are left to train and to validate with",
        task.options.fold,
        task.options.folds,
        test.len(),
        train.len()
    );
}
