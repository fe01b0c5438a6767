//! What a seed draws: the bits of fresh weights, of every class, in the order of the modules' parts.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor},
};
use nystromformer::{Architecture, Model, NystromformerConfig, Seed};

/// FNV-1a over the bits of every weight in the order of the module.
struct Digest(u64);

impl ModuleVisitor for Digest {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values: Vec<f32> = param.val().into_data().try_into_vec().unwrap();
        for byte in values.iter().flat_map(|value| value.to_bits().to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Two small models that differ in all that changes what is drawn; digests of the weights of each class, in the order
/// of [`Architecture::ALL`].
const DRAWN: [(&str, [u64; 8]); 2] = [
    (
        r#"{"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 12, "max_position_embeddings": 16, "conv_kernel_size": 3}"#,
        [
            0x399c_92c8_877d_35a9,
            0xb53a_b32b_8df1_b47d,
            0xf9e4_ec05_98e4_8372,
            0xee06_6182_60a6_9f4e,
            0x89da_756d_9ec8_f60a,
            0xd2d5_3f25_53e1_1e1c,
            0x6728_f739_8079_db8d,
            0x6728_f739_8079_db8d,
        ],
    ),
    (
        r#"{"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2,
            "intermediate_size": 12, "max_position_embeddings": 16, "conv_kernel_size": 5,
            "num_hidden_groups": 2, "norm_first": true, "weight_init": "kaiming_uniform",
            "attention": "softmax", "classifier_hidden_size": 6, "id2label": ["a", "b", "c"]}"#,
        [
            0x0783_5392_cf7f_c86e,
            0xba1c_3bb2_6817_ab83,
            0x6430_865f_dcc7_bba4,
            0x5fa9_7480_9052_1440,
            0xe513_1c0a_9f61_aad2,
            0x280c_b7b5_df81_4997,
            0x40b2_31be_5e3f_32bb,
            0x3669_2648_3cac_cebc,
        ],
    ),
];

/// A config, a seed and a version give the same run only as long as this holds.
#[test]
fn a_seed_draws_the_same_bits() {
    let device = Device::flex();
    for (keys, digests) in DRAWN {
        let config: NystromformerConfig = serde_json::from_str(keys).unwrap();
        for (architecture, expected) in Architecture::ALL.into_iter().zip(digests) {
            let model = Seed::new(42).scope(|| Model::init(architecture, &config, &device));
            let mut digest = Digest(0xcbf2_9ce4_8422_2325);
            model.unwrap().visit(&mut digest);
            assert_eq!(digest.0, expected, "{architecture}: {:#x}", digest.0);
        }
    }
}
