//! `mlm`: to predict masked tokens, by the head's own loss.

use nystromformer::Architecture;

use super::CorpusObjective;
use crate::experiment::Experiment;

const OF_SENTENCE_ORDER: &str = "it goes with `data.objective = \"mlm_sop\"` only";

pub(super) struct MaskedLm;

impl CorpusObjective for MaskedLm {
    fn architecture(&self, _: &Experiment) -> Architecture {
        Architecture::MaskedLm
    }

    fn unread(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("data.segment", OF_SENTENCE_ORDER),
            ("data.max_predictions", OF_SENTENCE_ORDER),
            ("data.short_seq_prob", OF_SENTENCE_ORDER),
        ]
    }
}
