//! [`Teacher`]: a model that is read and never trained, found to be one that the student can be compared with.

use std::path::Path;
use std::sync::OnceLock;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use nystromformer::{Model, NystromformerConfig, PreTrainedModel};
use nystromformer_data::TextTokenizer;
use nystromformer_files::say_once;
use nystromformer_interop::{load_all_weights, read_architecture, read_config};
use nystromformer_kernels::is_flex;

use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::trainer::model_folder;

/// A teacher, without autodiff.
#[derive(Debug)]
pub(super) struct Teacher {
    /// On the CPU.
    model: Model,
    /// On another device, where it was asked for there.
    elsewhere: OnceLock<Model>,
    fingerprint: String,
}

impl Teacher {
    /// The teacher of an experiment, which lies in `path`: a Hugging Face folder, a run or a checkpoint.
    ///
    /// # Errors
    /// [`LearnerError::Weights`] and [`LearnerError::Checkpoint`] if there is none, or if it is one that the student cannot be
    /// compared with.
    pub(super) fn load(
        path: &Path,
        experiment: &Experiment,
        tokenizer: &TextTokenizer,
    ) -> Result<Self> {
        let folder = model_folder(path)?;
        let mut config = read_config(&folder)?;
        config.attention.kind = experiment.distill.teacher_attention;
        if let Some(problem) = difference(&config, experiment) {
            return Err(refused(&folder, &problem));
        }
        require_vocabulary(&folder, &config, tokenizer)?;
        let class = read_architecture(&folder)?;
        let mut model = Model::build(class, &config, &Device::flex());
        load_all_weights(&mut model, &folder)?;
        let fingerprint = fingerprint(&model);
        Ok(Self { model, elsewhere: OnceLock::new(), fingerprint })
    }

    /// A model that lives on the CPU.
    #[cfg(test)]
    pub(super) fn of(model: Model) -> Self {
        let fingerprint = fingerprint(&model);
        Self { model, elsewhere: OnceLock::new(), fingerprint }
    }

    /// The model on `device`, which has no autodiff.
    pub(super) fn on(&self, device: &Device) -> &Model {
        if is_flex(device) {
            return &self.model;
        }
        self.elsewhere.get_or_init(|| self.model.clone().fork(device))
    }

    /// The model's configuration, its attention as it computes it.
    pub(super) fn config(&self) -> &NystromformerConfig {
        self.model.config()
    }

    /// The model on the CPU.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// A hash of configuration and weights.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn refused(folder: &Path, problem: &str) -> LearnerError {
    LearnerError::checkpoint(folder, format!("as `distill.teacher` {problem}"))
}

/// What keeps a model of this configuration from being the teacher.
fn difference(teacher: &NystromformerConfig, experiment: &Experiment) -> Option<String> {
    let student = &experiment.model;
    let advice = "name a teacher of the student's sizes";
    let of = |teacher: &NystromformerConfig| {
        [
            ("hidden_size", teacher.shared.hidden_size),
            ("num_hidden_layers", teacher.encoder.num_hidden_layers),
        ]
    };
    for ((key, theirs), (_, ours)) in of(teacher).into_iter().zip(of(student)) {
        if theirs != ours {
            return Some(format!(
                "it has {key} = `{theirs}`, and the student `{ours}`, whose hidden states are compared with its: {advice}"
            ));
        }
    }
    if teacher.vectors.is_used() {
        return Some(
            "it reads feature vectors, and a corpus is text: name a model of text".to_owned(),
        );
    }
    if teacher.shared.semantics != student.shared.semantics {
        return Some(format!(
            "it treats padding as semantics = {:?}, and the student as {:?}: `import` it with `--set semantics=…`",
            teacher.shared.semantics, student.shared.semantics
        ));
    }
    if teacher.shared.norm_first != student.shared.norm_first {
        return Some(format!(
            "it has norm_first = `{}`, and the student `{}`: their hidden states are not of one kind",
            teacher.shared.norm_first, student.shared.norm_first
        ));
    }
    let seq_len = experiment.data.seq_len;
    teacher.validate_seq_len(seq_len).err().map(|error| {
        format!(
            "it cannot read `data.seq_len` = `{seq_len}` tokens: {error}; `import` it with `--set max_position_embeddings={seq_len}`"
        )
    })
}

/// Refuses a teacher for whom ids mean other tokens.
fn require_vocabulary(
    folder: &Path,
    config: &NystromformerConfig,
    tokenizer: &TextTokenizer,
) -> Result<()> {
    if let Some((id, token)) = tokenizer.first_id_beyond(config.embeddings.vocab_size) {
        return Err(refused(
            folder,
            &format!(
                "it has vocab_size = `{}`, and the student's tokenizer the id `{id}` (`{token}`): name a teacher of the same \
                 vocabulary, or set `tokenizer.path` to its folder",
                config.embeddings.vocab_size
            ),
        ));
    }
    if !TextTokenizer::is_in(folder) {
        say_once(format!(
            "the teacher in `{}` has no tokenizer beside it: ids are taken to mean the same tokens as in `tokenizer.path`",
            folder.display()
        ));
        return Ok(());
    }
    let theirs = TextTokenizer::load(folder, true)
        .map_err(|error| refused(folder, &format!("its tokenizer cannot be read: {error}")))?;
    let Some((id, theirs, ours)) = theirs.vocabulary_difference(tokenizer) else {
        return Ok(());
    };
    let entry = |entry: Option<String>| entry.unwrap_or_else(|| "nothing".to_owned());
    Err(refused(
        folder,
        &format!(
            "it has another vocabulary: id `{id}` is `{}` there and `{}` for the student; name a teacher of the same vocabulary, \
             or set `tokenizer.path` to its folder",
            entry(theirs),
            entry(ours)
        ),
    ))
}

/// A hash of the configuration and of every weight, whatever files they come from.
fn fingerprint(model: &Model) -> String {
    struct Hasher(blake3::Hasher);
    impl ModuleVisitor for Hasher {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let data = parameter.val().into_data();
            for size in parameter.lazy_shape().to_vec() {
                self.0.update(&(size as u64).to_le_bytes());
            }
            self.0.update(data.bytes());
        }
    }
    let mut hasher = Hasher(blake3::Hasher::new());
    let config = serde_json::to_vec(model.config()).expect("a configuration is plain values");
    hasher.0.update(&config);
    model.visit(&mut hasher);
    hasher.0.finalize().to_hex().to_string()
}
