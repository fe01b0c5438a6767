//! The table of the tasks: names, columns, labels.

use crate::labelled::{ClassNames, Targets};
use crate::split::Split;

/// A task of GLUE, spelled as on the Hugging Face hub (`sst2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GlueTask {
    /// Corpus of Linguistic Acceptability: is the sentence grammatical?
    Cola,
    /// Stanford Sentiment Treebank: is the sentence of a review positive?
    Sst2,
    /// Microsoft Research Paraphrase Corpus: do the sentences mean the same?
    Mrpc,
    /// Semantic Textual Similarity Benchmark: how alike are the sentences, from 0 to 5?
    Stsb,
    /// Quora Question Pairs: do the questions ask the same?
    Qqp,
    /// Multi-Genre Natural Language Inference: does the premise entail or contradict the hypothesis?
    Mnli,
    /// Question NLI, from `SQuAD`: does the sentence answer the question?
    Qnli,
    /// Recognizing Textual Entailment: does the first sentence entail the second?
    Rte,
    /// Winograd NLI: does the second sentence replace the pronoun of the first rightly?
    Wnli,
    /// The diagnostic set: a test set for a model of [`GlueTask::Mnli`], nothing to train on.
    Ax,
}

/// A row of the table.
pub(super) struct TaskFacts {
    name: &'static str,
    title: &'static str,
    /// Folders of the official files, and of other copies.
    pub(super) folders: &'static [&'static str],
    /// The sentence or the first of a pair: the official column, then Hugging Face's.
    pub(super) first: &'static [&'static str],
    pub(super) second: &'static [&'static str],
    pub(super) label: &'static [&'static str],
    /// Empty for regression.
    label_names: &'static [&'static str],
}

const BINARY: &[&str] = &["label"];
const SENTENCE: &[&str] = &["sentence"];
const ENTAILMENT: &[&str] = &["entailment", "not_entailment"];
const INFERENCE: &[&str] = &["entailment", "neutral", "contradiction"];

const COLA: TaskFacts = TaskFacts {
    name: "cola",
    title: "CoLA",
    folders: &["CoLA", "cola"],
    // The official test file, unlike all others, writes it with a capital.
    first: &["sentence", "Sentence"],
    second: &[],
    label: BINARY,
    label_names: &["unacceptable", "acceptable"],
};
const SST2: TaskFacts = TaskFacts {
    name: "sst2",
    title: "SST-2",
    folders: &["SST-2", "sst2"],
    first: SENTENCE,
    second: &[],
    label: BINARY,
    label_names: &["negative", "positive"],
};
const MRPC: TaskFacts = TaskFacts {
    name: "mrpc",
    title: "MRPC",
    folders: &["MRPC", "mrpc"],
    first: &["#1 String", "sentence1"],
    second: &["#2 String", "sentence2"],
    label: &["Quality", "label"],
    label_names: &["not_equivalent", "equivalent"],
};
const STSB: TaskFacts = TaskFacts {
    name: "stsb",
    title: "STS-B",
    folders: &["STS-B", "stsb"],
    first: &["sentence1"],
    second: &["sentence2"],
    label: &["score", "label"],
    label_names: &[],
};
const QQP: TaskFacts = TaskFacts {
    name: "qqp",
    title: "QQP",
    folders: &["QQP", "qqp"],
    first: &["question1"],
    second: &["question2"],
    label: &["is_duplicate", "label"],
    label_names: &["not_duplicate", "duplicate"],
};
const MNLI: TaskFacts = TaskFacts {
    name: "mnli",
    title: "MNLI",
    folders: &["MNLI", "mnli"],
    first: &["sentence1", "premise"],
    second: &["sentence2", "hypothesis"],
    label: &["gold_label", "label"],
    label_names: INFERENCE,
};
const QNLI: TaskFacts = TaskFacts {
    name: "qnli",
    title: "QNLI",
    folders: &["QNLI", "qnli"],
    first: &["question"],
    second: SENTENCE,
    label: BINARY,
    label_names: ENTAILMENT,
};
const RTE: TaskFacts = TaskFacts {
    name: "rte",
    title: "RTE",
    folders: &["RTE", "rte"],
    first: &["sentence1"],
    second: &["sentence2"],
    label: BINARY,
    label_names: ENTAILMENT,
};
const WNLI: TaskFacts = TaskFacts {
    name: "wnli",
    title: "WNLI",
    folders: &["WNLI", "wnli"],
    first: &["sentence1"],
    second: &["sentence2"],
    label: BINARY,
    label_names: &["not_entailment", "entailment"],
};
const AX: TaskFacts = TaskFacts {
    name: "ax",
    title: "AX",
    folders: &["diagnostic", "AX", "ax"],
    first: &["sentence1", "premise"],
    second: &["sentence2", "hypothesis"],
    label: BINARY,
    label_names: INFERENCE,
};

impl GlueTask {
    /// All tasks, in the order of the paper; the diagnostic set last.
    pub const ALL: [Self; 10] = [
        Self::Cola,
        Self::Sst2,
        Self::Mrpc,
        Self::Stsb,
        Self::Qqp,
        Self::Mnli,
        Self::Qnli,
        Self::Rte,
        Self::Wnli,
        Self::Ax,
    ];

    pub(super) fn facts(self) -> &'static TaskFacts {
        match self {
            Self::Cola => &COLA,
            Self::Sst2 => &SST2,
            Self::Mrpc => &MRPC,
            Self::Stsb => &STSB,
            Self::Qqp => &QQP,
            Self::Mnli => &MNLI,
            Self::Qnli => &QNLI,
            Self::Rte => &RTE,
            Self::Wnli => &WNLI,
            Self::Ax => &AX,
        }
    }

    /// The name on the Hugging Face hub and in configs: `sst2`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The name in GLUE's tables and of its submission files: `SST-2`.
    pub fn title(self) -> &'static str {
        self.facts().title
    }

    /// The names of classes 0, 1, …, as on the Hugging Face hub; empty for [`GlueTask::Stsb`], whose labels are numbers.
    pub fn label_names(self) -> &'static [&'static str] {
        self.facts().label_names
    }

    /// Whether the labels are numbers instead of classes.
    pub fn is_regression(self) -> bool {
        self.label_names().is_empty()
    }

    /// Whether an example is a pair of sentences.
    pub fn is_pair(self) -> bool {
        !self.facts().second.is_empty()
    }

    /// The parts that the task comes in.
    pub fn splits(self) -> &'static [Split] {
        use Split::{Test, TestMismatched, Train, Validation, ValidationMismatched};
        match self {
            Self::Mnli => &[Train, Validation, ValidationMismatched, Test, TestMismatched],
            Self::Ax => &[Test],
            _ => &[Train, Validation, Test],
        }
    }

    /// What the labels are, whatever the files hold.
    pub fn labels(self) -> Targets {
        if self.is_regression() {
            return Targets::Numbers { range: 0.0..=5.0 };
        }
        let names = ClassNames::new(self.label_names().iter().copied());
        Targets::Classes(names.expect("the table's names are distinct"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagnostic_set_has_the_labels_of_its_model() {
        assert_eq!(GlueTask::Ax.label_names(), GlueTask::Mnli.label_names());
        assert_eq!(GlueTask::Ax.labels(), GlueTask::Mnli.labels());
    }
}
