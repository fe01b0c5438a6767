//! Examples that were evaluated, read once more: their texts are not kept in memory.

use nystromformer_tasks::{DataError, Example, ExampleReader, Split};

use super::TaskBatches;
use super::encoded::identity;
use super::splits::{Evaluated, limited};
use crate::error::Result;

impl TaskBatches {
    /// The examples of a split that was evaluated, each with its place, ascending.
    ///
    /// # Errors
    /// Those of the task's readers; the examples that are read give [`DataError::Example`] where one is another than before, or is
    /// gone: somebody wrote to the data meanwhile.
    pub(super) fn examples_of<'a>(
        &'a self,
        split: Split,
        evaluated: &'a Evaluated,
    ) -> Result<impl Iterator<Item = std::result::Result<(usize, Example), DataError>> + 'a> {
        let mut wanted = evaluated.places.iter().copied().peekable();
        let mut examples = self.reader_of(split, evaluated)?.into_iter().flatten().enumerate();
        let changed = |place| {
            let path = self.file.clone().unwrap_or_else(|| self.task.path());
            let problem = format!(
                "it is not what it was when it was read first: `{}` has changed meanwhile; run again once nobody writes to it",
                path.display()
            );
            Some(Err(DataError::Example { place, problem }))
        };
        Ok(std::iter::from_fn(move || {
            let Some(next) = wanted.peek().copied() else {
                // The rest is read too: what readers say at their end is the same as before.
                return examples.find_map(|(_, read)| read.err()).map(Err);
            };
            let Some((_, example)) = examples.find(|(place, read)| *place == next || read.is_err())
            else {
                wanted.next();
                return changed(next);
            };
            wanted.next();
            match example {
                Ok(example) if identity(&example) == evaluated.examples.identities()[next] => {
                    Some(Ok((next, example)))
                }
                Ok(_) => changed(next),
                Err(error) => Some(Err(error)),
            }
        }))
    }

    /// Reads what a split was made of.
    fn reader_of(&self, split: Split, evaluated: &Evaluated) -> Result<Option<ExampleReader>> {
        let seq_len = self.truncation.max_length;
        if let Some(file) = &self.file {
            return Ok(Some(self.task.file_examples(file, &self.targets, seq_len)?));
        }
        let source = evaluated.source.unwrap_or(split);
        let options = &self.task.options;
        let limit = if source == Split::Train {
            options.max_train_samples
        } else {
            options.max_eval_samples
        };
        limited(&self.task, &self.targets, seq_len, source, limit)
    }
}
