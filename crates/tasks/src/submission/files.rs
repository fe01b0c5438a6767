//! The eleven files: names, rows, how an answer is spelled.

use crate::example::Label;
use crate::glue::GlueTask;
use crate::split::Split;
use crate::task::Task as _;

/// A file of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmissionFile {
    /// What it is called: `MNLI-mm.tsv`.
    pub name: &'static str,
    /// The task that it answers.
    pub task: GlueTask,
    /// The test set that it answers.
    pub split: Split,
    /// Rows besides the header: the examples of the test set.
    pub rows: usize,
}

const fn file(name: &'static str, task: GlueTask, split: Split, rows: usize) -> SubmissionFile {
    SubmissionFile { name, task, split, rows }
}

impl SubmissionFile {
    /// The first line of each file.
    pub const HEADER: &'static str = "index\tprediction";

    /// All files, by name.
    pub const ALL: [Self; 11] = [
        file("AX.tsv", GlueTask::Ax, Split::Test, 1_104),
        file("CoLA.tsv", GlueTask::Cola, Split::Test, 1_063),
        file("MNLI-m.tsv", GlueTask::Mnli, Split::Test, 9_796),
        file("MNLI-mm.tsv", GlueTask::Mnli, Split::TestMismatched, 9_847),
        file("MRPC.tsv", GlueTask::Mrpc, Split::Test, 1_725),
        file("QNLI.tsv", GlueTask::Qnli, Split::Test, 5_463),
        file("QQP.tsv", GlueTask::Qqp, Split::Test, 390_965),
        file("RTE.tsv", GlueTask::Rte, Split::Test, 3_000),
        file("SST-2.tsv", GlueTask::Sst2, Split::Test, 1_821),
        file("STS-B.tsv", GlueTask::Stsb, Split::Test, 1_379),
        file("WNLI.tsv", GlueTask::Wnli, Split::Test, 146),
    ];

    /// The file that answers a test set; `None` for other splits.
    pub fn of(task: GlueTask, split: Split) -> Option<&'static Self> {
        const FILES: &[SubmissionFile] = &SubmissionFile::ALL;
        FILES.iter().find(|file| (file.task, file.split) == (task, split))
    }

    /// The answer as the site wants it ([`Task::prediction`]); what is wrong, if the label is none of the task's.
    pub(super) fn spell(&self, label: &Label) -> Result<String, String> {
        self.task.prediction(label, &self.task.labels()).ok_or_else(|| {
            let found = match label {
                Label::Class(class) => format!("class `{class}`"),
                Label::Value(value) => format!("the number `{value}`"),
                other => format!("`{other:?}`"),
            };
            format!("{found}, where {} is wanted", self.wanted())
        })
    }

    /// Whether a text is an answer to this task.
    pub(super) fn accepts(&self, text: &str) -> bool {
        let names = self.task.label_names();
        if names.is_empty() {
            return text.parse::<f32>().is_ok_and(|value| (0.0..=5.0).contains(&value));
        }
        if self.task.spells_names() { names.contains(&text) } else { ["0", "1"].contains(&text) }
    }

    /// The answers to this task, for errors.
    pub(super) fn wanted(&self) -> String {
        if self.task.is_regression() {
            "a number from `0` to `5`".to_owned()
        } else if self.task.spells_names() {
            let names: Vec<String> =
                self.task.label_names().iter().map(|name| format!("`{name}`")).collect();
            names.join(" or ")
        } else {
            "`0` or `1`".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_set_has_its_file() {
        let mut files = 0;
        for task in GlueTask::ALL {
            for split in task.splits() {
                let file = SubmissionFile::of(task, *split);
                assert_eq!(file.is_some(), split.is_test(), "{task:?} {split:?}");
                files += usize::from(file.is_some());
            }
        }
        assert_eq!(files, SubmissionFile::ALL.len());
    }

    #[test]
    fn answers_are_spelled_as_the_site_wants_them() {
        let spell = |task, label| SubmissionFile::of(task, Split::Test).unwrap().spell(&label);
        let class = Label::Class;
        for (task, label, text) in [
            (GlueTask::Cola, class(1), "1"),
            (GlueTask::Mrpc, class(0), "0"),
            (GlueTask::Wnli, class(1), "1"),
            (GlueTask::Qnli, class(1), "not_entailment"),
            (GlueTask::Rte, class(0), "entailment"),
            (GlueTask::Mnli, class(2), "contradiction"),
            (GlueTask::Ax, class(1), "neutral"),
            (GlueTask::Stsb, Label::Value(3.25), "3.25"),
            (GlueTask::Stsb, Label::Value(-0.1), "0"),
            (GlueTask::Stsb, Label::Value(5.3), "5"),
        ] {
            assert_eq!(spell(task, label).unwrap(), text, "{task:?}");
        }
        assert!(spell(GlueTask::Cola, class(2)).unwrap_err().contains("`0` or `1`"));
        assert!(spell(GlueTask::Cola, Label::Value(1.0)).is_err());
        assert!(spell(GlueTask::Stsb, class(1)).unwrap_err().contains("number"));
        assert!(spell(GlueTask::Stsb, Label::Value(f32::NAN)).is_err());
    }

    #[test]
    fn what_is_spelled_is_accepted() {
        for file in SubmissionFile::ALL {
            let classes = 0..file.task.label_names().len() as u16;
            let labels = classes.map(Label::Class).chain([0.0, 1e-9, 4.999_999].map(Label::Value));
            for answer in labels.filter_map(|label| file.spell(&label).ok()) {
                assert!(file.accepts(&answer), "{} {answer}", file.name);
            }
            for wrong in ["", " 1", "2.5x", "7", "nan", "Entailment", "-0.5"] {
                assert!(!file.accepts(wrong), "{} {wrong}", file.name);
            }
        }
    }
}
