//! How landmarks are chosen: the paper's means over segments, or another rule (means over patches of a picture among them), and the ends of a sequence as landmarks of their own.

#[cfg(test)]
mod tests;

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{Patches, Sequences, patch_means};
use serde::{Deserialize, Serialize};

use super::{NystromConfig, landmarks::segment_means};
use crate::{
    attention::padding::{MASKED, Padding, Segments, bias},
    picture::Picture,
    shared::SharedConfig,
    weights::zeros,
};

/// What a landmark is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandmarkRule {
    /// The mean of a segment: the paper's.
    #[default]
    SegmentMeans,
    /// The weighted mean of a segment, by a softmax of scores that each head learns for queries and for keys. Scores start at
    /// zero, where it is the mean.
    Weighted,
    /// The token in the middle of a segment.
    Strided,
    /// The mean of a cluster of queries, or of keys: some steps of Lloyd's algorithm from the means of segments.
    KMeans,
    /// The mean of a patch of the picture whose pixels the tokens are. Where nobody says which picture that is, they are one row of
    /// pixels, and its patches are segments.
    Patches,
}

impl LandmarkRule {
    /// Its name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::SegmentMeans => "segment_means",
            Self::Weighted => "weighted",
            Self::Strided => "strided",
            Self::KMeans => "k_means",
            Self::Patches => "patches",
        }
    }
}

/// Scores of a sequence that lie further than this below its greatest count as if they lay this far, so that no segment's sum of
/// weights is zero in 32 bits, nor the square of it.
const FARTHEST_SCORE: f64 = -40.0;

/// How a layer chooses its landmarks.
#[derive(Module, Debug)]
pub struct LandmarkSelection {
    /// `[heads, head_dim]`: what queries are multiplied with for their scores, of rule `weighted`.
    pub query_score: Option<Param<Tensor<2>>>,
    /// `[heads, head_dim]`: the same of keys.
    pub key_score: Option<Param<Tensor<2>>>,
    #[module(skip)]
    rule: LandmarkRule,
    /// Of the picture, of rule `patches`.
    #[module(skip)]
    patches: Option<Patches>,
    keeps_ends: bool,
    k_means_steps: usize,
    /// Landmarks of a sequence, its ends among them.
    count: usize,
}

/// The landmarks of one layer.
pub(super) struct Chosen {
    /// `[batch, heads, landmarks, head_dim]`.
    pub(super) query: Tensor<4>,
    /// `[batch, heads, landmarks, head_dim]`.
    pub(super) key: Tensor<4>,
    /// Which of them are in use, where some may not be.
    pub(super) spare: Option<Spare>,
}

/// Which landmarks are in use.
#[derive(Clone)]
pub(super) struct Spare {
    /// `[batch, 1, 1, landmarks]`: 0 for one in use, a large negative number for a spare one.
    pub(super) bias: Tensor<4>,
    /// `[batch, 1, landmarks, 1]`: 1 for one in use, 0 for a spare one.
    pub(super) keep: Tensor<4>,
}

/// How landmarks lie over a padded batch.
struct Layout {
    /// `[batch, 1, 2, seq_len]`: a 1 where the first and the last token of each row are, if they are landmarks of their own; a row
    /// of one token has no last one.
    ends: Option<Tensor<4>>,
    /// Segments over the tokens between them, or over all.
    segments: Segments,
}

impl LandmarkSelection {
    /// Means over `count` segments.
    pub(super) fn segment_means(count: usize) -> Self {
        Self {
            query_score: None,
            key_score: None,
            rule: LandmarkRule::SegmentMeans,
            patches: None,
            keeps_ends: false,
            k_means_steps: 0,
            count,
        }
    }

    /// As the options say, with scores of zero on `device` if the rule has any.
    pub(super) fn of(options: &NystromConfig, shared: &SharedConfig, device: &Device) -> Self {
        let rule = options.landmarks;
        let score = || {
            let shape = [shared.num_attention_heads, shared.head_dim()];
            (rule == LandmarkRule::Weighted).then(|| zeros(shape, device))
        };
        Self {
            query_score: score(),
            key_score: score(),
            rule,
            patches: None,
            keeps_ends: options.keep_ends,
            k_means_steps: options.k_means_steps,
            count: options.num_landmarks,
        }
    }

    /// Landmarks of a sequence.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Tells it of which picture the tokens are the pixels. A picture that so many patches do not cover is passed over; no
    /// [configuration](crate::NystromformerConfig) has one.
    pub(super) fn set_picture(&mut self, picture: Picture) {
        self.patches = picture.patches(self.count).filter(|_| self.rule == LandmarkRule::Patches);
    }

    /// The patches that landmarks average over, if they do.
    pub(super) fn patches(&self) -> Option<Patches> {
        self.patches
    }

    /// Whether the fused kernel has these landmarks: means over segments, or over the patches of whole pictures.
    pub(super) fn are_of_the_kernel(&self, sequences: &Sequences) -> bool {
        let are_means = matches!(self.rule, LandmarkRule::SegmentMeans | LandmarkRule::Patches);
        let are_whole = self.patches.is_none_or(|patches| {
            sequences.list().iter().all(|sequence| sequence.tokens.len() == patches.num_pixels())
        });
        are_means && are_whole && !self.keeps_ends
    }

    /// The landmarks of queries and of keys.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    pub(super) fn choose(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Chosen {
        let [batch, _, seq_len, _] = query.dims();
        let layout = match self.patches {
            Some(patches) => layout_of_patches(patches, padding, [batch, seq_len], &query.device()),
            None => padding.and_then(|padding| self.layout(padding)),
        };
        let spare = layout.as_ref().map(Layout::spare);
        Chosen {
            query: self.landmarks(query, self.query_score.as_ref(), layout.as_ref()),
            key: self.landmarks(key, self.key_score.as_ref(), layout.as_ref()),
            spare,
        }
    }

    /// `None` where segments are laid over padding too, as transformers does.
    fn layout(&self, padding: &Padding) -> Option<Layout> {
        if !self.keeps_ends {
            return Some(Layout { ends: None, segments: padding.segments()?.clone() });
        }
        let mask = padding.attention_mask(); // [batch, seq_len]
        let rank = mask.clone().cumsum(1);
        let count = mask.clone().sum_dim(1);
        let first = rank.clone().equal_elem(1).int() * mask.clone();
        let last = rank.equal(count.clone()).int() * mask.clone() * count.greater_elem(1).int();
        let between = mask.clone() - first.clone() - last.clone();
        let ends = Tensor::cat(vec![first.unsqueeze_dim::<3>(1), last.unsqueeze_dim(1)], 1);
        Some(Layout {
            ends: Some(ends.float().unsqueeze_dim(1)),
            segments: Segments::new(between, self.count - 2),
        })
    }

    /// # Shapes
    /// - `tokens`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, landmarks, head_dim]`
    fn landmarks(
        &self,
        tokens: Tensor<4>,
        score: Option<&Param<Tensor<2>>>,
        layout: Option<&Layout>,
    ) -> Tensor<4> {
        let [_, _, seq_len, _] = tokens.dims();
        if !self.keeps_ends {
            let segments = layout.map(|layout| &layout.segments);
            return self.by_rule(tokens, score, self.count, segments);
        }
        let count = self.count - 2;
        match layout {
            Some(Layout { ends, segments }) => {
                let between = self.by_rule(tokens.clone(), score, count, Some(segments));
                let ends = ends.clone().map(|ends| ends.matmul(tokens));
                Tensor::cat(ends.into_iter().chain([between]).collect(), 2)
            }
            // Each is an end.
            None if seq_len <= 2 => tokens,
            None => {
                let ends = [0, seq_len - 1].map(|end| tokens.clone().narrow(2, end, 1));
                let between = tokens.narrow(2, 1, seq_len - 2);
                let between = self.by_rule(between, score, count, None);
                Tensor::cat(ends.into_iter().chain([between]).collect(), 2)
            }
        }
    }

    /// One landmark for each segment.
    fn by_rule(
        &self,
        tokens: Tensor<4>,
        score: Option<&Param<Tensor<2>>>,
        count: usize,
        segments: Option<&Segments>,
    ) -> Tensor<4> {
        let [_, _, seq_len, _] = tokens.dims();
        if seq_len <= count && segments.is_none() {
            return tokens; // one landmark each
        }
        match (self.rule, score) {
            (LandmarkRule::Strided, _) => middle_tokens(tokens, count, segments),
            (LandmarkRule::KMeans, _) => {
                let means = segment_means(tokens.clone(), count, segments);
                cluster_means(&tokens, means, self.k_means_steps, segments)
            }
            (LandmarkRule::Weighted, Some(score)) => {
                weighted_means(tokens, &score.val(), count, segments)
            }
            (LandmarkRule::SegmentMeans | LandmarkRule::Weighted | LandmarkRule::Patches, _) => {
                match self.patches.filter(|_| segments.is_none()) {
                    Some(patches) => patch_means(tokens, patches),
                    None => segment_means(tokens, count, segments),
                }
            }
        }
    }
}

impl Layout {
    fn spare(&self) -> Spare {
        let Segments { landmark_bias, keep, .. } = &self.segments;
        let Some(ends) = &self.ends else {
            return Spare { bias: landmark_bias.clone(), keep: keep.clone() };
        };
        let ends = ends.clone().sum_dim(3); // [batch, 1, 2, 1]
        let [batch, ..] = ends.dims();
        let of_ends = bias(ends.clone().reshape([batch, 2])).unsqueeze_dims(&[1, 2]);
        Spare {
            bias: Tensor::cat(vec![of_ends, landmark_bias.clone()], 3),
            keep: Tensor::cat(vec![ends, keep.clone()], 2),
        }
    }
}

/// How the patches of a picture lie over the pixels that are there; `None` where all are.
fn layout_of_patches(
    patches: Patches,
    padding: Option<&Padding>,
    [batch, seq_len]: [usize; 2],
    device: &Device,
) -> Option<Layout> {
    let mask = match padding {
        Some(padding) => padding.attention_mask().clone(),
        None if seq_len == patches.num_pixels() => return None,
        None => Tensor::ones([batch, seq_len], device),
    };
    Some(Layout { ends: None, segments: Segments::of_patches(mask, patches) })
}

/// The token in the middle of each segment, of an even number the second of both.
///
/// # Shapes
/// - `tokens`: `[batch, heads, seq_len, head_dim]`, without `segments` more tokens than landmarks
/// - output: `[batch, heads, landmarks, head_dim]`
fn middle_tokens(tokens: Tensor<4>, count: usize, segments: Option<&Segments>) -> Tensor<4> {
    if let Some(segments) = segments {
        let member = segments.pooling.clone().greater_elem(0.0).float();
        let size = member.clone().sum_dim(3);
        // Tokens of the segment up to each of its own.
        let rank = member.clone().cumsum(3) * member;
        let middle = size.mul_scalar(0.5).floor().add_scalar(1.0);
        return rank.equal(middle).float().matmul(tokens);
    }
    let [_, _, seq_len, _] = tokens.dims();
    let (short, num_long) = (seq_len / count, seq_len % count);
    let middle = |segment: usize| {
        let long_before = segment.saturating_sub(count - num_long);
        let size = short + usize::from(segment >= count - num_long);
        (segment * short + long_before + size / 2) as i64
    };
    let middles: Vec<i64> = (0..count).map(middle).collect();
    let middles = Tensor::<1, Int>::from_ints(middles.as_slice(), &tokens.device());
    tokens.select(2, middles)
}

/// Means over segments, each token with the weight that a softmax of scores over its segment gives it.
///
/// # Shapes
/// - `tokens`: `[batch, heads, seq_len, head_dim]`
/// - `score`: `[heads, head_dim]`
/// - output: `[batch, heads, landmarks, head_dim]`
fn weighted_means(
    tokens: Tensor<4>,
    score: &Tensor<2>,
    count: usize,
    segments: Option<&Segments>,
) -> Tensor<4> {
    let [heads, head_dim] = score.dims();
    let score = score.clone().reshape([1, heads, 1, head_dim]);
    let mut scores = (tokens.clone() * score).sum_dim(3); // [batch, heads, seq_len, 1]
    if let Some(segments) = segments {
        // Of no segment: it must not be the greatest.
        let is_member = segments.pooling.clone().greater_elem(0.0).float().sum_dim(2);
        scores = scores + is_member.sub_scalar(1.0).mul_scalar(-MASKED).swap_dims(2, 3);
    }
    let greatest = scores.clone().max_dim(2).detach();
    let weights = (scores - greatest).clamp_min(FARTHEST_SCORE).exp();
    // Both are means over the same segments, whose sizes go out.
    let of_weights = segment_means(weights.clone(), count, segments);
    let of_tokens = segment_means(tokens * weights, count, segments);
    match segments {
        // A spare landmark has no weights.
        Some(segments) => of_tokens / (of_weights + segments.keep.clone().neg().add_scalar(1.0)),
        None => of_tokens / of_weights,
    }
}

/// Means of clusters: each token goes to the nearest mean, then means are taken anew. One that no token goes to stays.
///
/// # Shapes
/// - `tokens`: `[batch, heads, seq_len, head_dim]`
/// - `means`, output: `[batch, heads, landmarks, head_dim]`
fn cluster_means(
    tokens: &Tensor<4>,
    means: Tensor<4>,
    steps: usize,
    segments: Option<&Segments>,
) -> Tensor<4> {
    let [_, _, landmarks, _] = means.dims();
    let index = Tensor::<1, Int>::arange(0..landmarks as i64, &tokens.device());
    let index = index.reshape([1, 1, 1, landmarks]);
    let fixed = tokens.clone().detach();
    (0..steps).fold(means, |means, _| {
        let centre = means.clone().detach();
        let half_square = centre.clone().square().sum_dim(3).mul_scalar(0.5).swap_dims(2, 3);
        // Half of what the squared distances have of their own.
        let mut nearness = fixed.clone().matmul(centre.transpose()) - half_square;
        if let Some(segments) = segments {
            nearness = nearness + segments.landmark_bias.clone();
        }
        let mut member = nearness.argmax(3).equal(index.clone()).float();
        if let Some(segments) = segments {
            let is_member = segments.pooling.clone().greater_elem(0.0).float().sum_dim(2);
            member = member * is_member.swap_dims(2, 3);
        }
        let member = member.swap_dims(2, 3); // [batch, heads, landmarks, seq_len]
        let size = member.clone().sum_dim(3);
        let is_used = size.clone().clamp_max(1.0);
        let stays = is_used.clone().neg().add_scalar(1.0);
        member.matmul(tokens.clone()) / size.clamp_min(1.0) * is_used + means * stays
    })
}
