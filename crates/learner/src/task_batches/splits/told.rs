//! What the log says of the splits: how many examples each has, and the classes.

use nystromformer_tasks::table::listed;
use nystromformer_tasks::{Split, Targets, TaskConfig};

use super::Splits;

impl Splits {
    /// Says it.
    pub(super) fn tell(&self, task: &TaskConfig, targets: &Targets) {
        tracing::info!("`{}`: {}", task.path().display(), self.in_words(targets));
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
