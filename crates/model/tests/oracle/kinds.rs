//! Each kind of attention against the formula of its paper, stated here once more as a whole matrix in 64-bit floats, and kinds
//! against exact attention where one becomes the other.

use burn::{
    module::Param,
    tensor::{Device, Distribution, Int, Tensor, TensorData},
};
use nystromformer::{
    AgentConfig, AttentionConfig, AttentionKind, LinearAttentionConfig, LinformerConfig,
    LongformerConfig, ModelError, NystromConfig, NystromformerConfig, NystromformerInput,
    PerformerConfig, ReformerConfig, Seed, Semantics, SharedConfig,
    attention::{AttentionMechanism, LinformerAttention, Padding, softmax::softmax_attention},
};
use nystromformer_kernels::random;

use crate::device;

const TOKENS: usize = 13;
const HEADS: usize = 2;
const HEAD_DIM: usize = 4;

/// None, behind, before, among tokens, all but one, and all but two far from each other.
const MASKS: [[i64; TOKENS]; 6] = [
    [1; TOKENS],
    [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
    [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1],
    [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
];

/// Rows of one head.
type Matrix = Vec<Vec<f64>>;

fn shared() -> SharedConfig {
    SharedConfig {
        hidden_size: HEADS * HEAD_DIM,
        num_attention_heads: HEADS,
        ..SharedConfig::default()
    }
}

/// The attention that has the options of a kind.
fn config(kind: AttentionKind) -> AttentionConfig {
    AttentionConfig { kind, ..AttentionConfig::default() }
}

/// Queries, keys and values of as many rows as there are masks.
fn inputs(device: &Device) -> [Tensor<4>; 3] {
    let shape = [MASKS.len(), HEADS, TOKENS, HEAD_DIM];
    let normal = Distribution::Normal(0.0, 1.0);
    Seed::new(12).scope(|| [(); 3].map(|()| random::<4>(shape, normal, device)))
}

fn head(x: &Tensor<4>, row: usize, head: usize) -> Matrix {
    let [_, _, _, width] = x.dims();
    let one = x.clone().narrow(0, row, 1).narrow(1, head, 1);
    let numbers: Vec<f64> = one.into_data().iter::<f64>().collect();
    numbers.chunks(width).map(<[f64]>::to_vec).collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// `softmax` over the places that are seen; all alike where none is.
fn softmax_of(scores: &[f64], is_seen: impl Fn(usize) -> bool) -> Vec<f64> {
    let weights: Vec<f64> = scores
        .iter()
        .enumerate()
        .map(|(place, score)| if is_seen(place) { score.exp() } else { 0.0 })
        .collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Compares context and rows of a mechanism with those of `matrix`, which is made of a head's queries, its keys, and which
/// of the tokens are valid, under every mask, and with no mask at all.
fn compare(
    name: &str,
    mechanism: &dyn AttentionMechanism,
    config: &AttentionConfig,
    matrix: impl Fn(&Matrix, &Matrix, &[bool]) -> Matrix,
) {
    let device = device();
    let [query, key, value] = inputs(&device);
    let padding = config.padding(Tensor::<2, Int>::from_ints(MASKS, &device), &shared());
    for padding in [None, Some(&padding)] {
        let of_first = |attending: usize| {
            let (query, key, value) = (query.clone(), key.clone(), value.clone());
            mechanism.forward(query, key, value, padding, attending)
        };
        let (context, of_few) = (of_first(TOKENS), of_first(3));
        let rows: Vec<Tensor<3>> = (0..TOKENS)
            .map(|position| mechanism.row(query.clone(), key.clone(), padding, position).unwrap())
            .collect();
        assert_eq!(of_few.dims(), [MASKS.len(), HEADS, 3, HEAD_DIM], "{name}");
        for (row, mask) in MASKS.iter().enumerate() {
            let valid = mask.map(|kept| padding.is_none() || kept == 1);
            for of_head in 0..HEADS {
                let [query, key, value] = [&query, &key, &value].map(|x| head(x, row, of_head));
                let expected = matrix(&query, &key, &valid);
                let (found, few) = (head(&context, row, of_head), head(&of_few, row, of_head));
                for position in (0..TOKENS).filter(|position| valid[*position]) {
                    for channel in 0..HEAD_DIM {
                        let weights = expected[position].iter().zip(&value);
                        let expected: f64 =
                            weights.map(|(weight, value)| weight * value[channel]).sum();
                        let error = (found[position][channel] - expected).abs();
                        assert!(error < 2e-5, "{name}, mask {row}, token {position}: {error:e}");
                        if let Some(few) = few.get(position) {
                            assert!((few[channel] - expected).abs() < 2e-5, "{name}, first tokens");
                        }
                    }
                    let attention = rows[position].clone().unsqueeze_dim::<4>(2);
                    let attention = &head(&attention, row, of_head)[0];
                    for (found, expected) in attention.iter().zip(&expected[position]) {
                        let error = (found - expected).abs();
                        assert!(error < 1e-5, "{name}, mask {row}, row {position}: {error:e}");
                    }
                }
            }
        }
    }
}

/// Equations 4 and 5 with the features of equation 7, and the authors' 1e-6.
#[test]
fn linear_attention_is_its_formula() {
    let feature = |x: f64| if x > 0.0 { x + 1.0 } else { x.exp() };
    let features = |row: &[f64]| -> Vec<f64> { row.iter().copied().map(feature).collect() };
    let mechanism = LinearAttentionConfig::default().init(&shared(), &device());
    compare("linear", &mechanism, &config(AttentionKind::Linear), |query, key, valid| {
        let of_query = |query: &Vec<f64>| -> Vec<f64> {
            let weights: Vec<f64> = key
                .iter()
                .zip(valid)
                .map(|(key, valid)| f64::from(*valid) * dot(&features(query), &features(key)))
                .collect();
            let total: f64 = weights.iter().sum::<f64>() + 1e-6;
            weights.into_iter().map(|weight| weight / total).collect()
        };
        query.iter().map(of_query).collect()
    });
}

/// Equation 7, where E and F are longer than the sequence.
#[test]
fn linformer_is_its_formula() {
    let options = LinformerConfig { linformer_k: 5, linformer_seq_len: 20 };
    let mut of_weights = shared();
    of_weights.weights.initializer_range = 0.5;
    let mechanism = Seed::new(3).scope(|| options.init(&of_weights, &device()));
    let numbers = |weight: &Param<Tensor<2>>| -> Matrix {
        let all: Vec<f64> = weight.val().into_data().iter::<f64>().collect();
        all.chunks(20).map(<[f64]>::to_vec).collect()
    };
    let (e, f) = (numbers(&mechanism.compress_k), numbers(&mechanism.compress_v));
    compare("linformer", &mechanism, &config(AttentionKind::Linformer), |query, key, valid| {
        let projected: Matrix = e
            .iter()
            .map(|weights| {
                let channel = |channel: usize| -> f64 {
                    let tokens = (0..TOKENS).filter(|token| valid[*token]);
                    tokens.map(|token| weights[token] * key[token][channel]).sum()
                };
                (0..HEAD_DIM).map(channel).collect()
            })
            .collect();
        let of_query = |query: &Vec<f64>| -> Vec<f64> {
            let scores: Vec<f64> = projected.iter().map(|key| dot(query, key) / 2.0).collect();
            let weights = softmax_of(&scores, |_| true);
            let of_token = |token: usize| -> f64 {
                let given = weights.iter().zip(&f).map(|(weight, f)| weight * f[token]);
                f64::from(valid[token]) * given.sum::<f64>()
            };
            (0..TOKENS).map(of_token).collect()
        };
        query.iter().map(of_query).collect()
    });
}

/// With as many places as tokens, each of which is a token, nothing is lost.
#[test]
fn linformer_of_identity_projections_is_exact_attention() {
    let device = device();
    let [query, key, value] = inputs(&device);
    let identity = || Param::from_tensor(Tensor::<2>::eye(TOKENS, &device));
    let mechanism = LinformerAttention { compress_k: identity(), compress_v: identity() };
    let found = mechanism.forward(query.clone(), key.clone(), value.clone(), None, TOKENS);
    assert_close(found, softmax_attention(query, key, value, None, 0.0), 1e-5);
}

#[test]
fn linformer_refuses_what_is_longer_than_its_projections() {
    let config = NystromformerConfig::default().with(|config| {
        config.attention.kind = AttentionKind::Linformer;
        config.attention.linformer.linformer_seq_len = 600;
        config.embeddings.max_position_embeddings = 700;
    });
    let message = config.validate().unwrap_err().to_string();
    let words = "linformer_seq_len = `600`: must be at least 700";
    assert!(message.starts_with(words), "{message}");

    // Of vectors without positions the attention alone limits the length, and their class token counts.
    let config = config.with(|config| config.vectors.num_features = 3);
    assert_eq!((config.validate(), config.longest_sequence()), (Ok(()), Some(599)));
    assert_eq!(config.validate_seq_len(599), Ok(()));
    let error = config.validate_seq_len(600).unwrap_err();
    assert!(matches!(error, ModelError::AttentionLength { seq_len: 601, longest: 600, .. }));
}

/// A window of two on each side, of one, and of more than a block; with no, one and two tokens that see all.
#[test]
fn longformer_is_its_formula() {
    for (attention_window, num_global_tokens) in [(4, 1), (2, 2), (2, 0), (8, 2), (10, 0), (22, 1)]
    {
        let options = LongformerConfig { attention_window, num_global_tokens };
        let mechanism = options.init(&shared(), &device());
        let name = format!("longformer of {attention_window}, {num_global_tokens}");
        compare(&name, &mechanism, &config(AttentionKind::Longformer), |query, key, valid| {
            let is_global = |token: usize| {
                let before = valid[..token].iter().filter(|valid| **valid).count();
                valid[token] && before < num_global_tokens
            };
            let of_query = |(position, query): (usize, &Vec<f64>)| -> Vec<f64> {
                let scores: Vec<f64> = key.iter().map(|key| dot(query, key) / 2.0).collect();
                softmax_of(&scores, |token| {
                    let is_near = token.abs_diff(position) <= attention_window / 2;
                    valid[token] && (is_near || is_global(token) || is_global(position))
                })
            };
            query.iter().enumerate().map(of_query).collect()
        });
    }
}

#[test]
fn longformer_of_a_full_window_is_exact_attention() {
    let device = device();
    let [query, key, value] = inputs(&device);
    let mask = Tensor::<2, Int>::from_ints(MASKS, &device);
    let config = config(AttentionKind::Longformer);
    let padding = config.padding(mask, &shared());
    // The first in blocks, the second at once.
    for attention_window in [2 * TOKENS - 4, 2 * TOKENS] {
        for num_global_tokens in [0, 2] {
            let options = LongformerConfig { attention_window, num_global_tokens };
            let mechanism = options.init(&shared(), &device);
            let (q, k, v) = (query.clone(), key.clone(), value.clone());
            let found = mechanism.forward(q, k, v, Some(&padding), TOKENS);
            let (q, k, v) = (query.clone(), key.clone(), value.clone());
            let expected = softmax_attention(q, k, v, Some(&padding), 0.0);
            // Of the first the ends see all but their far ends.
            let seen = attention_window / 2 + 1;
            if seen >= TOKENS {
                let keep = padding.keep.clone();
                assert_close(found * keep.clone(), expected * keep, 1e-5);
            } else {
                let middle = |x: Tensor<4>| x.narrow(0, 0, 1).narrow(2, 5, 3);
                assert_close(middle(found), middle(expected), 1e-5);
            }
        }
    }
}

/// The product of the kernels of landmarks, which are means over segments of the valid tokens.
#[test]
fn agent_attention_is_its_formula() {
    for num_agents in [1, 4, 20] {
        let mechanism = AgentConfig { num_agents }.init(&shared(), &device());
        let mut config = config(AttentionKind::Agent);
        config.agent.num_agents = num_agents;
        let name = format!("{num_agents} agents");
        compare(&name, &mechanism, &config, |query, key, valid| {
            let tokens: Vec<usize> = (0..TOKENS).filter(|token| valid[*token]).collect();
            let segments = segments(&tokens, num_agents);
            let (asking, answering) = (means(query, &segments), means(key, &segments));
            let gathering: Matrix = asking
                .iter()
                .map(|agent| softmax_of(&scores(agent, key), |token| valid[token]))
                .collect();
            let of_query = |query: &Vec<f64>| -> Vec<f64> {
                let giving = softmax_of(&scores(query, &answering), |_| true);
                let of_token = |token: usize| -> f64 {
                    giving.iter().zip(&gathering).map(|(give, gather)| give * gather[token]).sum()
                };
                (0..TOKENS).map(of_token).collect()
            };
            query.iter().map(of_query).collect()
        });
    }
}

/// Landmarks, and a window beside them under the same softmax; the window of one block, of several, and of all tokens.
#[test]
fn nystrom_with_a_window_is_its_formula() {
    for (num_landmarks, local_window) in [(3, 2), (3, 4), (1, 8), (20, 4), (4, 40)] {
        let options = NystromConfig { num_landmarks, local_window, ..NystromConfig::default() };
        let mechanism = options.init(&shared(), &device());
        let mut config = config(AttentionKind::Nystrom);
        config.nystrom = options;
        let name = format!("{num_landmarks} landmarks, window {local_window}");
        compare(&name, &mechanism, &config, |query, key, valid| {
            let tokens: Vec<usize> = (0..TOKENS).filter(|token| valid[*token]).collect();
            let segments = segments(&tokens, num_landmarks);
            let (asking, answering) = (means(query, &segments), means(key, &segments));
            let kernel_2: Matrix = asking
                .iter()
                .map(|landmark| softmax_of(&scores(landmark, &answering), |_| true))
                .collect();
            let kernel_3: Matrix = asking
                .iter()
                .map(|landmark| softmax_of(&scores(landmark, key), |token| valid[token]))
                .collect();
            let by_landmarks = product(&pinv(&kernel_2), &kernel_3);
            let of_query = |(position, query): (usize, &Vec<f64>)| -> Vec<f64> {
                let mut both = scores(query, &answering);
                let landmarks = both.len();
                both.extend(scores(query, key));
                let weights = softmax_of(&both, |place| match place.checked_sub(landmarks) {
                    None => true,
                    Some(token) => valid[token] && token.abs_diff(position) <= local_window / 2,
                });
                let (of_landmarks, of_window) = weights.split_at(landmarks);
                let far = product(&vec![of_landmarks.to_vec()], &by_landmarks);
                far[0].iter().zip(of_window).map(|(far, near)| far + near).collect()
            };
            query.iter().enumerate().map(of_query).collect()
        });
    }
}

/// The paper's iteration (equation 14), six times from the largest row sum and column sum.
fn pinv(kernel: &Matrix) -> Matrix {
    let size = kernel.len();
    let largest = |sums: Vec<f64>| sums.into_iter().fold(0.0, f64::max);
    let rows = largest(kernel.iter().map(|row| row.iter().map(|x| x.abs()).sum()).collect());
    let columns = (0..size).map(|column| kernel.iter().map(|row| row[column].abs()).sum());
    let scale = 1.0 / (rows * largest(columns.collect()));
    let mut inverse: Matrix = (0..size)
        .map(|row| (0..size).map(|column| scale * kernel[column][row]).collect())
        .collect();
    // `number` on the diagonal, less the matrix.
    let less = |number: f64, matrix: Matrix| -> Matrix {
        let one = |(row, numbers): (usize, Vec<f64>)| -> Vec<f64> {
            let diagonal = |column: usize| if row == column { number } else { 0.0 };
            numbers.into_iter().enumerate().map(|(at, x)| diagonal(at) - x).collect()
        };
        matrix.into_iter().enumerate().map(one).collect()
    };
    for _ in 0..6 {
        let both = product(kernel, &inverse);
        let inner = less(7.0, both.clone());
        let middle = less(15.0, product(&both, &inner));
        let outer = less(13.0, product(&both, &middle));
        inverse = product(&inverse, &outer);
        inverse.iter_mut().flatten().for_each(|x| *x /= 4.0);
    }
    inverse
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let width = right[0].len();
    let one = |row: &Vec<f64>, column: usize| -> f64 {
        row.iter().zip(right).map(|(x, right)| x * right[column]).sum()
    };
    left.iter().map(|row| (0..width).map(|column| one(row, column)).collect()).collect()
}

/// Scores of a query over keys of four channels.
fn scores(query: &[f64], keys: &Matrix) -> Vec<f64> {
    keys.iter().map(|key| dot(query, key) / 2.0).collect()
}

/// Rows that are means over segments.
fn means(rows: &Matrix, segments: &[Vec<usize>]) -> Matrix {
    let mean = |segment: &Vec<usize>| -> Vec<f64> {
        let channel = |channel: usize| -> f64 {
            let sum: f64 = segment.iter().map(|token| rows[*token][channel]).sum();
            sum / segment.len() as f64
        };
        (0..HEAD_DIM).map(channel).collect()
    };
    segments.iter().map(mean).collect()
}

/// Tokens over segments, shorter ones first.
fn segments(tokens: &[usize], count: usize) -> Vec<Vec<usize>> {
    let count = count.min(tokens.len());
    let short = tokens.len() / count;
    let num_long = tokens.len() - short * count;
    let mut rest = tokens;
    (0..count)
        .map(|segment| {
            let size = short + usize::from(segment >= count - num_long);
            let (own, others) = rest.split_at(size);
            rest = others;
            own.to_vec()
        })
        .collect()
}

/// The estimate comes nearer to exact attention as features grow in number, with and without padding.
#[test]
fn performer_comes_near_to_exact_attention() {
    let device = device();
    let [query, key, value] = inputs(&device);
    // An estimate of a larger exponential varies more.
    let [query, key] = [query, key].map(|x| x.mul_scalar(0.5));
    let mask = Tensor::<2, Int>::from_ints(MASKS, &device);
    let padding = config(AttentionKind::Performer).padding(mask, &shared());
    for padding in [None, Some(&padding)] {
        let keep = padding
            .map_or_else(|| Tensor::ones([1, 1, 1, 1], &device), |padding| padding.keep.clone());
        let exact = softmax_attention(query.clone(), key.clone(), value.clone(), padding, 0.0);
        let norm = |x: Tensor<4>| x.square().sum().sqrt().into_scalar::<f32>();
        let error = |performer_features: usize| {
            let of_seed = |performer_seed: usize| {
                let options =
                    PerformerConfig { performer_features, performer_seed, performer_redraw: false };
                let mechanism = options.init(&shared(), &device);
                let (query, key, value) = (query.clone(), key.clone(), value.clone());
                let found = mechanism.forward(query, key, value, padding, TOKENS);
                norm((found - exact.clone()) * keep.clone()) / norm(exact.clone() * keep.clone())
            };
            (0..4).map(of_seed).sum::<f32>() / 4.0
        };
        let (few, more, many) = (error(16), error(256), error(4096));
        // A sixteenth of the variance each time: a quarter of the error.
        assert!(more < 0.5 * few && many < 0.5 * more, "{few} {more} {many}");
        assert!(many < 0.05, "{many}");
    }
}

/// All tokens in one bucket and one chunk: keys of unit length, and nobody sees itself who sees another.
#[test]
fn reformer_of_one_bucket_is_exact_attention_of_shared_keys() {
    for num_hashes in [1, 3] {
        let options = ReformerConfig {
            num_hashes,
            num_buckets: 1,
            lsh_attn_chunk_length: 64,
            ..ReformerConfig::default()
        };
        let mechanism = options.init(&shared(), &device());
        let name = format!("reformer of {num_hashes} rounds");
        compare(&name, &mechanism, &config(AttentionKind::Reformer), |query, _, valid| {
            let of_query = |(position, one): (usize, &Vec<f64>)| -> Vec<f64> {
                let scores: Vec<f64> =
                    query.iter().map(|key| dot(one, key) / dot(key, key).sqrt()).collect();
                let is_alone = valid.iter().filter(|valid| **valid).count() == 1;
                softmax_of(&scores, |token| valid[token] && (token != position || is_alone))
            };
            query.iter().enumerate().map(of_query).collect()
        });
    }
}

/// The convolution over the values, and nothing else; there is no row of a matrix to show.
#[test]
fn no_attention_leaves_the_convolution() {
    let device = device();
    let config = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 20;
        config.shared = shared();
        config.encoder.num_hidden_layers = 1;
        config.feed_forward.intermediate_size = 8;
        config.attention.kind = AttentionKind::None;
        config.attention.convolution.conv_kernel_size = 3;
    });
    let model = Seed::new(2).scope(|| config.init(&device)).unwrap();
    let attention = &model.encoder.layer[0].attention.self_attention;
    assert!(attention.query.is_none() && attention.key.is_none());
    let [query, key, value] = inputs(&device);
    let padding = config.attention.padding(Tensor::from_ints(MASKS, &device), &config.shared);
    let found = attention.context(query, key, value.clone(), Some(&padding));
    let filter: Vec<f64> =
        attention.conv.as_ref().unwrap().weight.val().into_data().iter::<f64>().collect();
    for (row, mask) in MASKS.iter().enumerate() {
        for of_head in 0..HEADS {
            let (found, value) = (head(&found, row, of_head), head(&value, row, of_head));
            let taps = &filter[of_head * 3..][..3];
            for (position, channel) in
                (0..TOKENS).flat_map(|at| (0..HEAD_DIM).map(move |c| (at, c)))
            {
                let tap = |(tap, weight): (usize, &f64)| {
                    let place = (position + tap).checked_sub(1).filter(|place| *place < TOKENS);
                    place.map_or(0.0, |place| weight * value[place][channel] * mask[place] as f64)
                };
                let expected: f64 = taps.iter().enumerate().map(tap).sum();
                assert!((found[position][channel] - expected).abs() < 1e-6, "{row} {position}");
            }
        }
    }
    let input = NystromformerInput::new(Tensor::ones([1, 5], &device));
    let message = model.attention_rows(input, 0).unwrap_err().to_string();
    assert!(message.contains("attention = `none` has no attention matrix"), "{message}");
}

#[test]
fn transformers_semantics_are_of_the_nystrom_method() {
    for &kind in AttentionKind::ALL {
        let config = NystromformerConfig::default().with(|config| {
            config.attention.kind = kind;
            config.shared.semantics = Semantics::Hf;
        });
        if matches!(kind, AttentionKind::Nystrom | AttentionKind::Softmax) {
            assert_eq!(config.validate(), Ok(()));
            let own = config.with(|config| config.attention.nystrom.keep_ends = true);
            let refused =
                own.validate().is_err_and(|error| error.to_string().starts_with("keep_ends"));
            assert_eq!(refused, kind == AttentionKind::Nystrom);
            continue;
        }
        let message = config.validate().unwrap_err().to_string();
        let words = format!("attention = `{}`: semantics = \"hf\"", kind.name());
        assert!(message.starts_with(&words), "{message}");
    }
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = |change: fn(&mut AttentionConfig), words: &str| {
        let config = NystromformerConfig::default().with(|config| change(&mut config.attention));
        let message = config.validate().unwrap_err().to_string();
        assert!(message.starts_with(words), "{message}");
    };
    let ends = |all: &mut AttentionConfig| {
        (all.nystrom.keep_ends, all.nystrom.num_landmarks) = (true, 2);
    };
    refused(ends, "num_landmarks = `2`: must be at least 3");
    refused(|all| all.nystrom.k_means_steps = 0, "k_means_steps = `0`");
    refused(|all| all.nystrom.local_window = 3, "local_window = `3`: must be even");
    refused(|all| all.linformer.linformer_k = 0, "linformer_k = `0`");
    refused(|all| all.performer.performer_features = 0, "performer_features = `0`");
    refused(|all| all.longformer.attention_window = 7, "attention_window = `7`: must be even");
    refused(|all| all.agent.num_agents = 0, "num_agents = `0`");
    refused(|all| all.reformer.num_buckets = 3, "num_buckets = `3`: must be 1, or even");
    refused(|all| all.reformer.num_hashes = 0, "num_hashes = `0`");
    refused(|all| all.reformer.lsh_attn_chunk_length = 0, "lsh_attn_chunk_length = `0`");
}

fn assert_close(found: Tensor<4>, expected: Tensor<4>, tolerance: f32) {
    let error = (found - expected).abs().max().into_scalar::<f32>();
    assert!(error < tolerance, "differs by {error:e}");
}

/// Attention alone of 65,536 tokens: a matrix of them would take 17 GB.
#[test]
fn long_sequences_take_no_square_of_memory() {
    const LONG: usize = 65_536;
    let device = device();
    let shape = [1, 1, LONG, 2];
    let numbers: Vec<f32> =
        (0..2 * LONG).map(|place| ((place * place) as f32 * 0.7).sin()).collect();
    let x = || Tensor::<4>::from_data(TensorData::new(numbers.clone(), shape), &device);
    let shared = SharedConfig { hidden_size: 2, num_attention_heads: 1, ..shared() };
    let performer = PerformerConfig { performer_features: 4, ..PerformerConfig::default() };
    let longformer = LongformerConfig { attention_window: 16, num_global_tokens: 1 };
    let reformer = ReformerConfig {
        num_hashes: 1,
        num_buckets: 16,
        lsh_attn_chunk_length: 16,
        ..ReformerConfig::default()
    };
    let linformer = LinformerConfig { linformer_k: 4, linformer_seq_len: LONG };
    let mechanisms: [Box<dyn AttentionMechanism>; 6] = [
        Box::new(LinearAttentionConfig::default().init(&shared, &device)),
        Box::new(performer.init(&shared, &device)),
        Box::new(longformer.init(&shared, &device)),
        Box::new(reformer.init(&shared, &device)),
        Box::new(linformer.init(&shared, &device)),
        Box::new(AgentConfig { num_agents: 8 }.init(&shared, &device)),
    ];
    for mechanism in mechanisms {
        let context = mechanism.forward(x(), x(), x(), None::<&Padding>, LONG);
        assert!(context.is_finite().all().into_scalar::<bool>());
        let row = mechanism.row(x(), x(), None, LONG / 2).unwrap();
        assert_eq!(row.dims(), [1, 1, LONG]);
    }
}
