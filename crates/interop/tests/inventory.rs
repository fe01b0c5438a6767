//! The parameters' names and shapes, as text: a changed one shows up in review.

use burn::{
    store::{BurnToPyTorchAdapter, ModuleSnapshot},
    tensor::Device,
};
use nystromformer::{Architecture, Model, NystromformerConfig, PositionEmbeddingType};
use nystromformer_interop::{hugging_face::names::parameters, save};
use safetensors::SafeTensors;

/// Two layers of nystromformer-512's sizes, by transformers 4.56.2: `state_dict()` without the tied decoder,
/// one `name shape` a line.
const PUBLISHED: &str = include_str!("fixtures/inventory.txt");

fn lines(parameters: impl IntoIterator<Item = (String, Vec<usize>)>) -> Vec<String> {
    let mut lines: Vec<String> =
        parameters.into_iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
    lines.sort();
    lines
}

#[test]
fn the_inventory_is_the_published_one() {
    let config = NystromformerConfig::default().with(|config| config.encoder.num_hidden_layers = 2);
    let ours = lines(parameters(Architecture::MaskedLm, &config));
    assert_eq!(ours, PUBLISHED.lines().collect::<Vec<_>>());
}

/// The inventory comes from the configuration alone; the modules and the file must have the same one.
#[test]
fn modules_and_files_have_that_inventory() {
    for conv_kernel_size in [0, 5] {
        let config = NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = 11;
            config.shared.hidden_size = 6;
            config.encoder.num_hidden_layers = 2;
            config.shared.num_attention_heads = 3;
            config.feed_forward.intermediate_size = 7;
            config.embeddings.max_position_embeddings = 9;
            config.attention.nystrom.num_landmarks = 4;
            config.attention.convolution.conv_kernel_size = conv_kernel_size;
            if conv_kernel_size > 0 {
                config.attention.convolution.conv_per_channel = true;
                config.shared.position_embedding_type = PositionEmbeddingType::BothEnds;
                config.embeddings.stem.stem_layers = 2;
            }
        });
        for architecture in Architecture::ALL {
            let mut expected = parameters(architecture, &config);
            let model = Model::init(architecture, &config, &Device::flex()).unwrap();
            let modules = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
            assert_eq!(modules.len(), expected.len());

            let folder = tempfile::tempdir().unwrap();
            save(&model, folder.path()).unwrap();
            let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let stored = file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec()));
            if architecture == Architecture::Base {
                // As transformers saves it.
                for (name, _) in &mut expected {
                    *name = name.replacen("nystromformer.", "", 1);
                }
            }
            assert_eq!(lines(stored), lines(expected));
        }
    }
}
