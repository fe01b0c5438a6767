//! A hash of the examples of a split.

use nystromformer_tasks::Label;

use super::EncodedSplit;

impl EncodedSplit {
    /// Hash of all of it.
    pub(in crate::task_batches) fn fingerprint(&self, hasher: &mut blake3::Hasher) {
        let (mut ids, mut types) = (Vec::new(), Vec::new());
        for example in 0..self.len() {
            ids.clear();
            types.clear();
            for row in self.units_of(example).flat_map(|unit| self.rows_of(unit)) {
                if let Some(vectors) = self.vectors.get(row) {
                    vectors.fingerprint(|bytes| {
                        hasher.update(bytes);
                    });
                    continue;
                }
                hasher.update(&(self.row_len(row) as u64).to_le_bytes());
                self.append(row, &mut ids, &mut types);
            }
            for value in ids.iter().chain(&types) {
                hasher.update(&value.to_le_bytes());
            }
            hash_label(self.labels[example].as_ref(), hasher);
        }
    }
}

fn hash_label(label: Option<&Label>, hasher: &mut blake3::Hasher) {
    let mut number = |value: f64| {
        hasher.update(&value.to_le_bytes());
    };
    match label {
        None => number(-1.0),
        Some(Label::Class(class)) => number(f64::from(*class)),
        Some(Label::Value(value)) => number(f64::from(*value)),
        Some(Label::Classes(classes)) => classes.iter().for_each(|class| number(f64::from(*class))),
        Some(Label::Values(values)) => values.iter().for_each(|value| number(f64::from(*value))),
        Some(Label::Tags(tags)) => {
            for class in &tags.classes {
                number(class.map_or(-1.0, f64::from));
            }
        }
        Some(Label::Answers(answers)) => {
            for answer in answers {
                hasher.update(answer.text.as_bytes());
                hasher.update(&(answer.start as u64).to_le_bytes());
            }
        }
    }
}
