//! Token, position and type embeddings, and the convolutions behind them.

use burn::{
    module::Module,
    nn::Embedding,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{EmbeddingTables, add, dropout, embed, select_rows};

use crate::{
    component::{Problems, component},
    layer_norm::LayerNorm,
    picture::Picture,
    positions::PositionEmbeddingType,
    shared::{Semantics, SharedConfig},
    stem::{StemConfig, StemLayer},
};

/// Position ids start here, as in RoBERTa: the table's first two rows are never read.
pub const POSITION_OFFSET: usize = 2;

/// What stands at each place of a batch of sequences.
#[expect(clippy::large_enum_variant, reason = "a few handles of tensors, moved once a step")]
#[derive(Debug, Clone)]
pub enum InputTokens {
    /// Token ids, each below `vocab_size`: `[batch, seq_len]` (transformers' `input_ids`).
    Ids(Tensor<2, Int>),
    /// Token embeddings in place of the table's rows: `[batch, seq_len, hidden_size]` (transformers'
    /// `inputs_embeds`). Types and positions are added to them as to the table's.
    Embeds(Tensor<3>),
    /// Feature vectors, of a model that has `num_features`.
    Vectors {
        /// `[batch, seq_len, num_features]` (transformers' `input_features`).
        features: Tensor<3>,
        /// `[batch, seq_len, 2]`: row and column of each, where positions are of a grid and known. `None`: vectors fill a
        /// square.
        coordinates: Option<Tensor<3>>,
    },
}

impl InputTokens {
    /// Where they lie.
    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Ids(ids) => ids.device(),
            Self::Embeds(vectors) | Self::Vectors { features: vectors, .. } => vectors.device(),
        }
    }

    /// `[batch, seq_len]`.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Ids(ids) => ids.dims(),
            Self::Embeds(vectors) | Self::Vectors { features: vectors, .. } => {
                let [batch, seq_len, _] = vectors.dims();
                [batch, seq_len]
            }
        }
    }
}

component! {
    /// Sizes of the embeddings, and ids with a meaning.
    pub struct EmbeddingsConfig {
        /// Rows of the token embedding. Default: 30000.
        vocab_size: usize = 30000,
        /// Longest sequence, in tokens. The table has two more rows, since ids start at 2. Default: 510.
        max_position_embeddings: usize = 510,
        /// Rows of the token-type embedding. Default: 2.
        type_vocab_size: usize = 2,
        /// Id of the padding token; its embedding starts at zero. Default: 1.
        pad_token_id: usize = 1,
        /// Id of the first token of a sequence. Default: 0.
        bos_token_id: usize = 0,
        /// Id of the last token of a sequence. Default: 2.
        eos_token_id: usize = 2,
        /// Columns of a picture whose pixels are the tokens, row by row, of `position_embedding_type = "axial"` and
        /// `landmarks = "patches"`; not read otherwise. Default: 0.
        image_width: usize = 0,
    } with {
        /// Convolutions behind the embeddings.
        stem: StemConfig,
    }
}

impl EmbeddingsConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("vocab_size", self.vocab_size, 1);
        problems.check_size("max_position_embeddings", self.max_position_embeddings, 1);
        problems.check_size("type_vocab_size", self.type_vocab_size, 1);
        problems.check_size("bos_token_id", self.bos_token_id, 0);
        problems.check_size("eos_token_id", self.eos_token_id, 0);
        problems.check_size("image_width", self.image_width, 0);
        problems.check(
            self.pad_token_id < self.vocab_size.max(1),
            "pad_token_id",
            &self.pad_token_id,
            format!("must be below vocab_size = {}", self.vocab_size),
        );
    }

    /// Adds what is wrong between its options and what all parts share.
    pub(crate) fn check_with(&self, shared: &SharedConfig, problems: &mut Problems) {
        let kind = shared.position_embedding_type;
        problems.check(
            kind == PositionEmbeddingType::Absolute || shared.semantics == Semantics::Paper,
            "position_embedding_type",
            &kind.name(),
            "semantics = \"hf\" is what transformers computes, whose positions are `absolute`: take semantics = \"paper\", or leave it out",
        );
        self.stem.check_with(shared, problems);
    }

    /// The picture whose pixels fill the longest sequence; `None` if its columns are not stated, or do not fill rows of equal
    /// length.
    pub fn picture(&self) -> Option<Picture> {
        let Self { max_position_embeddings: pixels, image_width: width, .. } = *self;
        let height = pixels.checked_div(width).filter(|height| height * width == pixels)?;
        Some(Picture { height, width })
    }

    /// Tables of fresh weights on `device`.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> Embeddings {
        let table = |rows| shared.weights.embedding(rows, shared.hidden_size, device);
        let (kind, longest) = (shared.position_embedding_type, self.max_position_embeddings);
        let is_axial = kind == PositionEmbeddingType::Axial;
        Embeddings {
            word_embeddings: shared.weights.padded_embedding(
                self.vocab_size,
                shared.hidden_size,
                self.pad_token_id,
                device,
            ),
            position_embeddings: kind
                .counts_from_the_start()
                .then(|| table(longest + POSITION_OFFSET)),
            end_position_embeddings: (kind == PositionEmbeddingType::BothEnds)
                .then(|| table(longest)),
            row_position_embeddings: is_axial
                .then(|| table(longest.div_ceil(self.image_width.max(1)))),
            column_position_embeddings: is_axial.then(|| table(self.image_width)),
            token_type_embeddings: table(self.type_vocab_size),
            layer_norm: (!shared.norm_first).then(|| shared.layer_norm().init(device)),
            stem: self.stem.init(shared, device),
            hidden_dropout_prob: shared.hidden_dropout_prob,
            // PyTorch's `padding_idx` gives the padding row no gradient. In `paper` semantics masked
            // padding never reaches the loss, so there is nothing to stop.
            frozen_padding: (shared.semantics == Semantics::Hf).then_some(self.pad_token_id),
        }
    }
}

/// `LayerNorm((word + type) + position)`, then dropout; in pre-LN without the normalisation. Then the convolutions of the
/// [stem](crate::stem), if there are any.
///
/// Named after transformers' `NystromformerEmbeddings`.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocab_size, hidden_size]`.
    pub word_embeddings: Embedding,
    /// `[max_position_embeddings + 2, hidden_size]`, of positions counted from the start.
    pub position_embeddings: Option<Embedding>,
    /// `[max_position_embeddings, hidden_size]`, of positions counted from the last token.
    pub end_position_embeddings: Option<Embedding>,
    /// `[rows, hidden_size]`, of a picture's rows.
    pub row_position_embeddings: Option<Embedding>,
    /// `[image_width, hidden_size]`, of a picture's columns.
    pub column_position_embeddings: Option<Embedding>,
    /// `[type_vocab_size, hidden_size]`.
    pub token_type_embeddings: Embedding,
    /// Over `hidden_size`; in post-LN only.
    pub layer_norm: Option<LayerNorm>,
    /// Convolutions, the first first.
    pub stem: Vec<StemLayer>,
    hidden_dropout_prob: f64,
    #[module(skip)]
    frozen_padding: Option<usize>,
}

impl Embeddings {
    /// Embeds a batch of sequences.
    ///
    /// # Shapes
    /// - `tokens`, `token_type_ids`: `[batch, seq_len]`; types default to 0
    /// - `attention_mask`: `[batch, seq_len]`; `None`: all are tokens
    /// - output: `[batch, seq_len, hidden_size]`
    pub fn forward(
        &self,
        tokens: InputTokens,
        token_type_ids: Option<Tensor<2, Int>>,
        attention_mask: Option<&Tensor<2, Int>>,
    ) -> Tensor<3> {
        let (dims, device) = (tokens.dims(), tokens.device());
        let summed = match tokens {
            InputTokens::Ids(input_ids) => self.sum(input_ids, token_type_ids),
            InputTokens::Embeds(embeds) | InputTokens::Vectors { features: embeds, .. } => {
                self.add_types_and_positions(embeds, token_type_ids)
            }
        };
        let summed = match &self.end_position_embeddings {
            Some(table) => {
                let [rows, width] = [dims[0] * dims[1], summed.dims()[2]];
                let columns = columns_from_the_end(dims, attention_mask, &device);
                let from_the_end = select_rows(table.weight.val(), columns.reshape([rows]));
                add(summed, from_the_end.reshape([dims[0], dims[1], width]))
            }
            None => summed,
        };
        let normalised = match &self.layer_norm {
            Some(layer_norm) => layer_norm.forward(summed),
            None => summed,
        };
        let embedded = dropout(normalised, self.hidden_dropout_prob);
        self.stem.iter().fold(embedded, |states, block| block.forward(states, attention_mask))
    }

    /// The vectors of positions counted from the start, `[positions, hidden_size]`, and which of them is the first column's.
    fn positions(&self, seq_len: usize) -> (Tensor<2>, usize) {
        if let Some(table) = &self.position_embeddings {
            return (table.weight.val(), POSITION_OFFSET);
        }
        let words = self.word_embeddings.weight.val();
        let ([_, hidden_size], device) = (words.dims(), words.device());
        let (Some(rows), Some(columns)) =
            (&self.row_position_embeddings, &self.column_position_embeddings)
        else {
            return (Tensor::zeros([seq_len, hidden_size], (&device, words.dtype())), 0);
        };
        let [image_width, _] = columns.weight.dims();
        let pixels = 0..seq_len as i64;
        let of = |table: &Embedding, place: fn(i64, i64) -> i64| {
            let places: Vec<i64> =
                pixels.clone().map(|pixel| place(pixel, image_width as i64)).collect();
            select_rows(table.weight.val(), Tensor::from_ints(places.as_slice(), &device))
        };
        (of(rows, |pixel, width| pixel / width) + of(columns, |pixel, width| pixel % width), 0)
    }

    fn sum(&self, input_ids: Tensor<2, Int>, token_type_ids: Option<Tensor<2, Int>>) -> Tensor<3> {
        let [_, seq_len] = input_ids.dims();
        let (positions, position_offset) = self.positions(seq_len);
        let tables = EmbeddingTables {
            words: self.word_embeddings.weight.val(),
            token_types: self.token_type_embeddings.weight.val(),
            positions,
            position_offset,
            frozen: self.frozen_padding,
        };
        embed(tables, input_ids, token_type_ids)
    }

    fn add_types_and_positions(
        &self,
        embeds: Tensor<3>,
        token_type_ids: Option<Tensor<2, Int>>,
    ) -> Tensor<3> {
        let [_, seq_len, _] = embeds.dims();
        let token_types = match token_type_ids {
            Some(token_type_ids) => self.token_type_embeddings.forward(token_type_ids),
            None => self.token_type_embeddings.weight.val().narrow(0, 0, 1).unsqueeze_dim(0),
        };
        let (positions, first) = self.positions(seq_len);
        embeds + token_types + positions.narrow(0, first, seq_len).unsqueeze_dim(0)
    }
}

/// How many columns a token stands before its row's last one; 0 behind it: `[batch, seq_len]`.
fn columns_from_the_end(
    [batch, seq_len]: [usize; 2],
    attention_mask: Option<&Tensor<2, Int>>,
    device: &Device,
) -> Tensor<2, Int> {
    let column = Tensor::<1, Int>::arange(0..seq_len as i64, device).unsqueeze_dim::<2>(0);
    match attention_mask {
        Some(mask) => {
            let last = (mask.clone() * column.clone().add_scalar(1)).max_dim(1).sub_scalar(1);
            (last - column).clamp_min(0)
        }
        None => column.neg().add_scalar(seq_len as i64 - 1).expand([batch, seq_len]),
    }
}
