//! What the log says of the splits: how many examples each has, and the classes.

use nystromformer_tasks::table::listed;
use nystromformer_tasks::{Split, Targets, TaskConfig, say_once};

use super::Splits;

/// Says how many held-out examples neither train nor validate.
pub(super) fn tell_left_out(count: usize, task: &TaskConfig) {
    if count > 0 {
        say_once(format!(
            "`{count}` examples that are held out for validation are not measured on, and do not train either: \
             `task.max_eval_samples` = `{}`; a smaller `task.validation_fraction` = `{}` leaves them to train",
            task.options.max_eval_samples, task.options.validation_fraction
        ));
    }
}

impl Splits {
    /// Says it.
    pub(super) fn tell(&self, task: &TaskConfig, targets: &Targets) {
        tracing::info!("`{}`: {}", task.path().display(), self.in_words(targets));
    }

    /// Warns of test splits of which nothing is measured, since they fill no batch.
    pub(super) fn warn_of_dropped(&self) {
        for (split, evaluated) in &self.others {
            let examples = evaluated.examples_before_drop;
            if split.is_test() && evaluated.units.is_empty() && examples > 0 {
                tracing::warn!(
                    "the `{examples}` examples of the {} split fill no batch of `trainer.batch_size`, so with `task.drop_last` none of \
                     them is measured or predicted: make the batch smaller, or leave the key out",
                    split.name()
                );
            }
        }
    }

    /// `19` train, `5` validation examples (held out of train), and the classes, if there are any.
    fn in_words(&self, targets: &Targets) -> String {
        let train = (Split::Train, self.training_places.len(), None);
        let others = Split::EVALUATED.into_iter().filter_map(|split| {
            let evaluated = self.get(split)?;
            Some((split, evaluated.places.len(), evaluated.source))
        });
        let counts: Vec<String> = std::iter::once(train)
            .chain(others)
            .map(|(split, examples, source)| {
                let source = source.map_or_else(String::new, |of| format!(" (of {})", of.name()));
                format!("`{examples}` {}{source}", split.name())
            })
            .collect();
        let classes = targets.class_names().map_or_else(String::new, |names| {
            let names = names.names();
            format!("; `{}` classes: {}", names.len(), listed(names.iter().map(String::as_str)))
        });
        format!("{} examples{classes}", counts.join(", "))
    }
}
