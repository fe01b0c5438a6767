//! Attention by the Nyström method: its options, and the attention of a layer.
//!
//! | file | holds |
//! |---|---|
//! | [`landmarks`] | segment means |
//! | [`selection`] | the rules by which landmarks are chosen |
//! | [`pinv`] | the Moore–Penrose inverse |
//! | [`approximation`] | the three kernels and their product |

pub mod approximation;
pub mod landmarks;
pub mod pinv;
pub mod selection;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{MOST_LANDMARKS, NystromParameters, Sequences};

use super::{
    convolution::DepthwiseConvolution,
    factors::NystromFactors,
    kind::{Activations, AttentionMechanism, AttentionOptions, WIDEST_HEAD_ON_GPU},
    padding::Padding,
    self_attention::first_rows,
    softmax::{
        exact_activations, exact_operations, is_exact_of_gpu_kernels, softmax_attention,
        softmax_row,
    },
    window::Window,
};
use crate::{
    component::{Problems, component, divides},
    error::ModelError,
    picture::Picture,
    shared::{Semantics, SharedConfig},
};

use approximation::Landmarks;
pub use approximation::{NystromOptions, nystrom_attention, nystrom_factors, nystrom_row};
pub use pinv::{Pinv, PinvInit, PinvMethod, iterative_pinv};
pub use selection::{LandmarkRule, LandmarkSelection};

component! {
    /// Options of attention by the Nyström method.
    pub struct NystromConfig {
        /// Landmarks per head. Default: 64.
        num_landmarks: usize = 64,
        /// How landmarks are chosen. Default: `segment_means`, as in the paper.
        landmarks: LandmarkRule = LandmarkRule::default(),
        /// Steps of `landmarks = "k_means"`. Default: 2.
        k_means_steps: usize = 2,
        /// The first and the last token of a sequence are landmarks of their own, two of `num_landmarks`; the others are
        /// chosen among the tokens between. Default: false.
        keep_ends: bool = false,
        /// Tokens near by that a token sees exactly, beside the landmarks and in one softmax with them; half of them on each
        /// side of it, and itself. Even; 0: none. Default: 0.
        local_window: usize = 0,
        /// Tokens per input under `semantics = "hf"`, where it fixes the length; not read otherwise.
        /// Default: 64.
        segment_means_seq_len: usize = 64,
        /// How the pseudo-inverse is computed. Default: `iterative`, as in the paper; transformers has no other.
        pinv: PinvMethod = PinvMethod::default(),
        /// Iterations of the pseudo-inverse, if it is iterative. Default: 6.
        pinv_iterations: usize = 6,
        /// Start of the pseudo-inverse, if it is iterative. Default: `exact`; transformers computes `original`.
        pinv_init: PinvInit = PinvInit::default(),
        /// Ridge of `pinv = "solve"`, as a share of the kernel's largest column sum. Default: 1e-3, which
        /// regularises about as much as six iterations do.
        pinv_ridge: f64 = 1e-3,
    }
}

/// The least ridge: below it, single precision does not tell `AᵀA + λ I` from a singular matrix.
const LEAST_RIDGE: f64 = 1e-5;

impl NystromConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("num_landmarks", self.num_landmarks, 1);
        problems.check_size("k_means_steps", self.k_means_steps, 1);
        problems.check(
            !self.keep_ends || self.num_landmarks > 2,
            "num_landmarks",
            &self.num_landmarks,
            "must be at least 3 with keep_ends = true, which takes two",
        );
        problems.check(
            !self.keep_ends || self.landmarks != LandmarkRule::Patches,
            "keep_ends",
            &self.keep_ends,
            "the ends of a sequence are two pixels of a picture as any others: leave it out with landmarks = \"patches\"",
        );
        problems.check_size("local_window", self.local_window, 0);
        problems.check(
            self.local_window.is_multiple_of(2),
            "local_window",
            &self.local_window,
            "must be even: half of it lies on each side of a token",
        );
        problems.check_size("segment_means_seq_len", self.segment_means_seq_len, 0);
        problems.check_size("pinv_iterations", self.pinv_iterations, 1);
        problems.check(
            (LEAST_RIDGE..=1.0).contains(&self.pinv_ridge),
            "pinv_ridge",
            &self.pinv_ridge,
            format!("must be from {LEAST_RIDGE} to 1"),
        );
    }

    /// The attention of a layer; of its rules for landmarks `weighted` alone has weights.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> NystromAttention {
        let landmarks = LandmarkSelection::of(self, shared, device);
        let pinv = (!self.is_exact(shared)).then(|| self.inverse());
        NystromAttention { landmarks, pinv, window: self.window() }
    }

    /// The first option by which it is not the paper's, with its value: another rule for landmarks, a window beside them.
    pub fn own_option(&self) -> Option<(&'static str, String)> {
        let window = self.local_window;
        self.own_landmarks().or((window > 0).then(|| ("local_window", window.to_string())))
    }

    /// The first option by which its landmarks are not the paper's, with its value.
    pub fn own_landmarks(&self) -> Option<(&'static str, String)> {
        let own = |key, is_own: bool, value: String| is_own.then_some((key, value));
        let rule = self.landmarks;
        own("landmarks", rule != LandmarkRule::SegmentMeans, rule.name().to_owned()).or(own(
            "keep_ends",
            self.keep_ends,
            "true".to_owned(),
        ))
    }

    fn window(&self) -> Option<Window> {
        (self.local_window > 0).then(|| Window::of(self.local_window))
    }

    /// The pseudo-inverse with the options that it reads.
    pub fn inverse(&self) -> Pinv {
        match self.pinv {
            PinvMethod::Iterative => {
                let scale = self.pinv_init.into();
                Pinv::Iterative { iterations: self.pinv_iterations, scale }
            }
            PinvMethod::Solve => Pinv::Solve { ridge: self.pinv_ridge },
        }
    }
}

impl AttentionOptions for NystromConfig {
    /// transformers' rule: as many landmarks as tokens switch the approximation off.
    fn is_exact(&self, shared: &SharedConfig) -> bool {
        shared.semantics == Semantics::Hf && self.num_landmarks == self.segment_means_seq_len
    }

    fn num_segments(&self, shared: &SharedConfig) -> Option<usize> {
        (shared.semantics == Semantics::Paper).then_some(self.num_landmarks)
    }

    fn required_len(&self, shared: &SharedConfig) -> Option<usize> {
        (shared.semantics == Semantics::Hf && !self.is_exact(shared))
            .then_some(self.segment_means_seq_len)
    }

    fn mixes_rows(&self, shared: &SharedConfig) -> bool {
        let starts_by_batch =
            self.pinv == PinvMethod::Iterative && self.pinv_init == PinvInit::Original;
        !self.is_exact(shared) && starts_by_batch
    }

    fn is_of_transformers(&self) -> bool {
        true
    }

    fn unread_keys(&self, shared: &SharedConfig) -> Vec<(&'static str, &'static str)> {
        let iterates = self.pinv == PinvMethod::Iterative;
        let of_length = "semantics = \"hf\"";
        [
            ("k_means_steps", self.landmarks == LandmarkRule::KMeans, "landmarks = \"k_means\""),
            ("pinv_iterations", iterates, "pinv = \"iterative\""),
            ("pinv_init", iterates, "pinv = \"iterative\""),
            ("pinv_ridge", !iterates, "pinv = \"solve\""),
            ("segment_means_seq_len", shared.semantics == Semantics::Hf, of_length),
        ]
        .into_iter()
        .filter_map(|(key, is_read, reader)| (!is_read).then_some((key, reader)))
        .collect()
    }

    fn reads_picture(&self) -> bool {
        self.landmarks == LandmarkRule::Patches
    }

    fn is_of_kernels(&self) -> bool {
        self.own_option().is_none() && self.num_landmarks <= MOST_LANDMARKS
    }

    fn is_of_gpu_kernels(&self, seq_len: usize, shared: &SharedConfig) -> bool {
        if self.is_exact(shared) {
            return is_exact_of_gpu_kernels(seq_len, shared);
        }
        self.own_option().is_none()
            && self.pinv == PinvMethod::Iterative
            && self.num_landmarks <= MOST_LANDMARKS
            && shared.head_dim() <= WIDEST_HEAD_ON_GPU
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        if self.is_exact(shared) {
            return exact_activations(seq_len, shared, is_fused, false);
        }
        let tokens = seq_len.max(1) as u64;
        let landmarks = (self.num_landmarks as u64).min(tokens);
        let heads = shared.num_attention_heads as u64;
        // Of the landmarks: their queries, keys and summaries, and square matrices, as a share of each token. The fused
        // iteration keeps every iterate; by Burn's operations an iteration is four products that keep both factors. A solve
        // keeps a factor and the inverse, or the factors of three products.
        let squares = match (self.inverse(), is_fused) {
            (Pinv::Iterative { iterations, .. }, true) => iterations as u64 + 4,
            (Pinv::Iterative { iterations, .. }, false) => 8 * iterations as u64 + 4,
            (Pinv::Solve { .. }, true) => 6,
            (Pinv::Solve { .. }, false) => 10,
        };
        let of_rows = 6 * shared.hidden_size as u64 * landmarks;
        let of_landmarks = (of_rows + squares * heads * landmarks * landmarks).div_ceil(tokens);
        // Burn's softmax keeps its exponentials and its probabilities, of kernels 1 and 3.
        let scores = if is_fused { 0 } else { 2 * heads * landmarks };
        // Of queries and of keys: weights and what they weigh; members of clusters in each step.
        let (of_rule, of_rule_at_once) = match self.landmarks {
            LandmarkRule::SegmentMeans | LandmarkRule::Strided | LandmarkRule::Patches => (0, 0),
            LandmarkRule::Weighted => (6 * shared.hidden_size as u64, 0),
            LandmarkRule::KMeans => {
                (2 * self.k_means_steps as u64 * heads * landmarks, 2 * heads * landmarks)
            }
        };
        let (of_window, of_window_at_once) = self.window().map_or((0, 0), |window| {
            let of_window = window.activations(landmarks, seq_len, shared, is_fused);
            (of_window.kept_by_layer, of_window.at_once)
        });
        Activations {
            kept_by_layer: 2 * scores + of_landmarks + of_rule + of_window,
            at_once: 2 * scores + of_rule_at_once + of_window_at_once,
        }
    }

    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64 {
        if self.is_exact(shared) {
            return exact_operations(seq_len, shared);
        }
        let landmarks = self.num_landmarks as f64;
        // Four products an iteration; or one, Cholesky's factorisation, and two substitutions.
        let squares = match self.inverse() {
            Pinv::Iterative { iterations, .. } => 8.0 * iterations as f64,
            Pinv::Solve { .. } => 2.0 + 1.0 / 3.0 + 2.0,
        };
        let squares = squares * shared.num_attention_heads as f64;
        // Products of all tokens with landmarks: of both kernels, and in each step of both clusterings.
        let products = match self.landmarks {
            LandmarkRule::KMeans => 8.0 + 8.0 * self.k_means_steps as f64,
            LandmarkRule::SegmentMeans
            | LandmarkRule::Weighted
            | LandmarkRule::Strided
            | LandmarkRule::Patches => 8.0,
        };
        let of_window = self.window().map_or(0.0, |window| 4.0 * window.tokens() as f64);
        (products * landmarks + of_window) * shared.hidden_size as f64
            + squares * landmarks.powi(3) / seq_len as f64
    }

    fn check_with(&self, shared: &SharedConfig, problems: &mut Problems) {
        if let Some((key, value)) = self.own_option() {
            problems.check(
                shared.semantics == Semantics::Paper,
                key,
                &value,
                "semantics = \"hf\" is what transformers computes, with means over segments for landmarks and nothing beside them: \
                 take semantics = \"paper\", or leave it out",
            );
        }
        problems.check(
            shared.semantics == Semantics::Paper
                || self.is_exact(shared)
                || self.pinv == PinvMethod::Iterative,
            "pinv",
            &"solve",
            "semantics = \"hf\" is what transformers computes, which has no solve: take semantics = \"paper\", or \
             pinv = \"iterative\"",
        );
        problems.check(
            shared.semantics == Semantics::Paper
                || self.is_exact(shared)
                || (self.segment_means_seq_len >= self.num_landmarks
                    && divides(self.num_landmarks, self.segment_means_seq_len)),
            "segment_means_seq_len",
            &self.segment_means_seq_len,
            format!(
                "with semantics = \"hf\" it must be a multiple of num_landmarks = {}",
                self.num_landmarks
            ),
        );
    }

    fn check_len(&self, seq_len: usize, shared: &SharedConfig) -> Result<(), ModelError> {
        match self.required_len(shared) {
            Some(segment_means_seq_len) if segment_means_seq_len != seq_len => {
                Err(ModelError::SegmentMeansLength { seq_len, segment_means_seq_len })
            }
            _ => Ok(()),
        }
    }
}

/// Attention by the Nyström method.
#[derive(Module, Debug)]
pub struct NystromAttention {
    /// How landmarks are chosen.
    pub landmarks: LandmarkSelection,
    /// `None`: exact attention, by transformers' rule.
    #[module(skip)]
    pinv: Option<Pinv>,
    #[module(skip)]
    window: Option<Window>,
}

impl NystromAttention {
    fn landmarks_of(
        &self,
        query: &Tensor<4>,
        key: &Tensor<4>,
        padding: Option<&Padding>,
        pinv: Pinv,
    ) -> Landmarks {
        Landmarks::new(query.clone(), key.clone(), padding, &self.landmarks, pinv)
    }
}

impl AttentionMechanism for NystromAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let Some(pinv) = self.pinv else {
            return softmax_attention(first_rows(query, attending), key, value, padding, 0.0);
        };
        let landmarks = self.landmarks_of(&query, &key, padding, pinv);
        landmarks.attend(first_rows(query, attending), key, value, padding, self.window)
    }

    fn fused(
        &self,
        [query, key, value]: [Tensor<3>; 3],
        heads: usize,
        convolution: Option<&DepthwiseConvolution>,
        sequences: &Sequences,
    ) -> Option<Tensor<3>> {
        // The kernel knows no other landmarks, and no window.
        let has_all = self.landmarks.are_of_the_kernel(sequences) && self.window.is_none();
        let pinv = self.pinv.filter(|_| has_all)?;
        let (num_landmarks, patches) = (self.landmarks.count(), self.landmarks.patches());
        let parameters = NystromParameters { heads, num_landmarks, patches, pinv };
        let filter = convolution.map(DepthwiseConvolution::filter);
        Some(nystromformer_kernels::nystrom_attention(
            query, key, value, filter, sequences, parameters,
        ))
    }

    fn set_picture(&mut self, picture: Picture) {
        self.landmarks.set_picture(picture);
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let Some(pinv) = self.pinv else {
            return Some(softmax_row(query, key, padding, position));
        };
        let landmarks = self.landmarks_of(&query, &key, padding, pinv);
        Some(landmarks.row(query, key, padding, position, self.window))
    }

    fn factors(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        // With a window the product of the factors is not all of the matrix.
        let pinv = self.pinv.filter(|_| self.window.is_none())?;
        let landmarks = self.landmarks_of(&query, &key, padding, pinv);
        Some(landmarks.factors(query, key, padding))
    }
}
