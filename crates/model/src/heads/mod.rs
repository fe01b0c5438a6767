//! The encoder with a head: transformers' classes, and the authors' pretraining model.
//!
//! | file | class | answers |
//! |---|---|---|
//! | [`masked_lm`] | [`NystromformerForMaskedLm`] | a score of every vocabulary entry for every token |
//! | [`pre_training`] | [`NystromformerForPreTraining`] | that, and whether two segments are in order |
//! | [`sequence_classification`] | [`NystromformerForSequenceClassification`] | a score of every class, or numbers |
//! | [`dual_encoder`] | [`NystromformerDualEncoder`] | a score of every class, for a pair of sequences |
//! | [`multiple_choice`] | [`NystromformerForMultipleChoice`] | a score of every choice |
//! | [`token_classification`] | [`NystromformerForTokenClassification`] | a score of every class for every token |
//! | [`question_answering`] | [`NystromformerForQuestionAnswering`] | scores of every token as an answer's first and last |
//!
//! `pooling` is what classifiers read of a sequence. [`PreTrainedModel`] and [`ModelClass`] are what they have in common, [`Architecture`] names them, [`Model`] is any of them, and
//! [`targets`] what a model can be trained towards.

mod architecture;
pub mod dual_encoder;
pub mod masked_lm;
mod model;
pub mod multiple_choice;
mod pooling;
mod pre_trained_model;
pub mod pre_training;
pub mod question_answering;
pub mod sequence_classification;
pub mod targets;
pub mod token_classification;

pub use architecture::Architecture;
pub use dual_encoder::NystromformerDualEncoder;
pub use masked_lm::NystromformerForMaskedLm;
pub use model::Model;
pub use multiple_choice::NystromformerForMultipleChoice;
pub use pre_trained_model::{ModelClass, PreTrainedModel};
pub use pre_training::NystromformerForPreTraining;
pub use question_answering::NystromformerForQuestionAnswering;
pub use sequence_classification::{ClassificationHead, NystromformerForSequenceClassification};
pub use targets::{LossTerm, Losses, Targets};
pub use token_classification::NystromformerForTokenClassification;
