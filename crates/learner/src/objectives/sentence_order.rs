//! `mlm_sop`: to predict masked tokens and whether two passages are in order, by the head's own losses.

use nystromformer::Architecture;

use super::CorpusObjective;
use crate::experiment::Experiment;

pub(super) struct SentenceOrder;

impl CorpusObjective for SentenceOrder {
    fn architecture(&self, _: &Experiment) -> Architecture {
        Architecture::PreTraining
    }

    fn unread(&self) -> &'static [(&'static str, &'static str)] {
        &[("data.whole_word_masking", "it goes with `data.objective = \"mlm\"` only")]
    }

    fn problems(&self, experiment: &Experiment) -> Vec<(String, String)> {
        let types = experiment.model.embeddings.type_vocab_size;
        [
            ("model.type_vocab_size", types, "the two segments of a pair"),
            ("model.id2label", experiment.model.num_labels(), "in order and swapped"),
        ]
        .into_iter()
        .filter(|(_, count, _)| *count < 2)
        .map(|(key, count, of)| {
            let problem = format!("`{count}`: `data.objective = \"mlm_sop\"` needs two, for {of}");
            (key.to_owned(), problem)
        })
        .collect()
    }
}
