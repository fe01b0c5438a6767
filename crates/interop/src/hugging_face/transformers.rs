//! What transformers computes for a configuration of ours.
//!
//! It has one switch between exact and approximated attention (`num_landmarks == segment_means_seq_len`), one input
//! length where it approximates, and no key for the rest.

use nystromformer::{AttentionKind, NystromformerConfig, PinvInit, PinvMethod, Semantics};

/// Iterations of the pseudo-inverse in transformers, which has no key for it.
pub(crate) const HF_PINV_ITERATIONS: usize = 6;

/// Whether transformers will compute Nyström attention for this `config.json`.
pub(crate) fn transformers_approximates(config: &NystromformerConfig) -> bool {
    config.attention.nystrom.num_landmarks != config.attention.nystrom.segment_means_seq_len
}

/// Tokens of the longest input that transformers can read.
pub(crate) fn input_len(config: &NystromformerConfig) -> usize {
    if transformers_approximates(config) {
        config.attention.nystrom.segment_means_seq_len
    } else {
        config.embeddings.max_position_embeddings
    }
}

/// The configuration to write for transformers, and what it will compute differently.
pub(crate) fn for_transformers(
    config: &NystromformerConfig,
    seq_len: Option<usize>,
) -> (NystromformerConfig, Vec<String>) {
    let mut exported = config.clone();
    let mut notes = Vec::new();
    let landmarks = config.attention.nystrom.num_landmarks;

    if config.attention.kind == AttentionKind::Softmax {
        // The one switch that transformers has for exact attention.
        exported.attention.nystrom.segment_means_seq_len = landmarks;
        notes.push(format!(
            "Attention is exact. segment_means_seq_len equals num_landmarks = {landmarks}, which is how \
             transformers is told so; inputs may have any length up to {}.",
            config.embeddings.max_position_embeddings
        ));
    } else if config.shared.semantics == Semantics::Paper {
        exported.attention.nystrom.segment_means_seq_len = fitting_seq_len(config, seq_len);
        notes.push(
            "The model was trained with `paper` semantics, where padding takes no part in anything. \
             transformers lets padding into the landmarks and into the convolution, so its predictions for \
             padded inputs differ."
                .into(),
        );
        if transformers_approximates(&exported) {
            notes.push(format!(
                "transformers needs inputs of exactly segment_means_seq_len = {} tokens: pad or truncate to \
                 that, or change the key to another multiple of num_landmarks = {landmarks}. For short \
                 inputs, set it to {landmarks} when loading: transformers then computes exact attention, \
                 with padding masked.",
                exported.attention.nystrom.segment_means_seq_len
            ));
        } else {
            notes.push(format!(
                "segment_means_seq_len = {landmarks} equals num_landmarks, for which transformers computes exact \
                 attention instead of the approximation.",
            ));
        }
    }

    if config.shared.semantics == Semantics::Paper
        && config.is_full_attention()
        && config.attention.convolution.conv_kernel_size > 0
    {
        notes.push(
            "The model was trained with `paper` semantics, where padding takes no part in anything. \
             transformers convolves padded positions too, so its predictions beside padding differ; those \
             for unpadded inputs are the same."
                .into(),
        );
    }
    if transformers_approximates(&exported) {
        notes.push(
            "transformers 5 (5.23 at least) fails on padded inputs where attention is approximated, with an error of \
             shapes; 4.56 does not."
                .into(),
        );
    }
    if transformers_approximates(&exported) {
        notes.extend(differences_of_the_inverse(config));
    }
    (exported, notes)
}

/// How transformers' pseudo-inverse differs from the model's.
fn differences_of_the_inverse(config: &NystromformerConfig) -> Vec<String> {
    let nystrom = &config.attention.nystrom;
    if nystrom.pinv == PinvMethod::Solve {
        return vec![format!(
            "The model was trained with pinv = \"solve\" and a ridge of {}; transformers has no solve and always computes \
             {HF_PINV_ITERATIONS} iterations, so its predictions differ. The modeling file in the folder solves.",
            nystrom.pinv_ridge
        )];
    }
    let mut notes = Vec::new();
    if nystrom.pinv_iterations != HF_PINV_ITERATIONS {
        notes.push(format!(
            "The model was trained with {} iterations of the pseudo-inverse; transformers always computes \
             {HF_PINV_ITERATIONS}.",
            nystrom.pinv_iterations
        ));
    }
    if nystrom.pinv_init == PinvInit::Exact {
        notes.push(
            "The pseudo-inverse of each matrix starts from that matrix's own scale; transformers takes one \
             scale from the whole batch. Predictions differ where the iteration has not converged, and there \
             depend on the batch."
                .into(),
        );
    }
    notes
}

/// The multiple of `num_landmarks` next to `wanted` for which the model has positions, upwards first;
/// without `wanted`, the longest.
pub fn fitting_seq_len(config: &NystromformerConfig, wanted: Option<usize>) -> usize {
    let landmarks = config.attention.nystrom.num_landmarks;
    let longest =
        (config.embeddings.max_position_embeddings / landmarks * landmarks).max(landmarks);
    match wanted {
        None => longest,
        Some(wanted) => wanted.max(1).div_ceil(landmarks).saturating_mul(landmarks).min(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(num_landmarks: usize, max_position_embeddings: usize) -> NystromformerConfig {
        NystromformerConfig::default().with(|config| {
            config.attention.nystrom.num_landmarks = num_landmarks;
            config.embeddings.max_position_embeddings = max_position_embeddings;
        })
    }

    #[test]
    fn the_length_is_a_multiple_that_has_positions() {
        for (landmarks, positions, wanted, fitting) in [
            (64, 512, None, 512),
            (64, 510, None, 448),
            (64, 512, Some(128), 128),
            (64, 512, Some(100), 128),
            (64, 510, Some(500), 448),
            (64, 512, Some(9999), 512),
            (64, 512, Some(0), 64),
            (64, 32, None, 64),
        ] {
            assert_eq!(fitting_seq_len(&config(landmarks, positions), wanted), fitting);
        }
    }

    #[test]
    fn exact_attention_is_switched_on_by_transformers_rule() {
        let exact = config(32, 512).with(|config| {
            config.attention.kind = AttentionKind::Softmax;
            config.attention.nystrom.segment_means_seq_len = 512;
        });
        let (exported, notes) = for_transformers(&exact, Some(256));
        assert_eq!(exported.attention.nystrom.segment_means_seq_len, 32);
        assert!(notes[0].starts_with("Attention is exact."));
        assert!(notes[1].contains("convolves padded positions"));
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn a_model_that_transformers_computes_alike_has_no_notes() {
        let hf = config(64, 512).with(|config| {
            config.shared.semantics = Semantics::Hf;
            config.attention.nystrom.pinv_init = PinvInit::Original;
            config.attention.nystrom.segment_means_seq_len = 256;
        });
        let (exported, notes) = for_transformers(&hf, None);
        assert_eq!((exported, notes.len()), (hf, 1));
        assert!(notes[0].contains("fails on padded inputs"), "{notes:?}");
    }

    #[test]
    fn every_difference_is_named() {
        let paper = config(64, 512).with(|config| config.attention.nystrom.pinv_iterations = 12);
        let (exported, notes) = for_transformers(&paper, None);
        assert_eq!(exported.attention.nystrom.segment_means_seq_len, 512);
        for (note, words) in notes.iter().zip([
            "`paper` semantics",
            "exactly",
            "fails on padded",
            "12 iterations",
            "batch",
        ]) {
            assert!(note.contains(words), "{note}");
        }
        assert_eq!(notes.len(), 5);
    }

    #[test]
    fn a_solve_is_named_as_what_transformers_lacks() {
        let solves = config(64, 512).with(|config| {
            config.attention.nystrom.pinv = PinvMethod::Solve;
            config.attention.nystrom.pinv_iterations = 12;
        });
        let (exported, notes) = for_transformers(&solves, None);
        assert_eq!(exported.attention.nystrom.pinv, PinvMethod::Solve);
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(notes[3].contains("pinv = \"solve\"") && notes[3].contains("0.001"), "{notes:?}");
    }
}
