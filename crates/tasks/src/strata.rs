//! What examples are drawn evenly by: their classes, or of several the rarest.

use crate::example::Label;

/// For each example the class that a part of the data is to hold its share of (stratified). An example of any number of classes
/// stands with the rarest of them, the first of equals, so that rare classes are spread evenly too. `None`: no class, or an
/// answer of another kind.
///
/// ```
/// use nystromformer_tasks::{Label, strata};
///
/// let labels = [vec![0, 1], vec![0], vec![]].map(Label::Classes);
/// assert_eq!(strata(labels.iter().map(Some)), [Some(1), Some(0), None]);
/// ```
pub fn strata<'a>(labels: impl Iterator<Item = Option<&'a Label>> + Clone) -> Vec<Option<u16>> {
    let mut counts: Vec<u64> = Vec::new();
    for label in labels.clone() {
        if let Some(Label::Classes(classes)) = label {
            for class in classes {
                let class = usize::from(*class);
                counts.resize(counts.len().max(class + 1), 0);
                counts[class] += 1;
            }
        }
    }
    let stratum = |label: Option<&Label>| match label? {
        Label::Class(class) => Some(*class),
        Label::Classes(classes) => {
            classes.iter().copied().min_by_key(|class| counts[usize::from(*class)])
        }
        Label::Value(_) | Label::Values(_) | Label::Tags(_) | Label::Answers(_) => None,
    };
    labels.map(stratum).collect()
}
