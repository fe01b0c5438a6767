//! The parameters' names and shapes, as text: a changed one shows up in review.

use burn::{
    store::{BurnToPyTorchAdapter, ModuleSnapshot},
    tensor::Device,
};
use nystromformer::NystromformerConfig;
use nystromformer_interop::{hugging_face::names::masked_lm_parameters, save_masked_lm};
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
    let config = NystromformerConfig { num_hidden_layers: 2, ..NystromformerConfig::default() };
    let ours = lines(masked_lm_parameters(&config));
    assert_eq!(ours, PUBLISHED.lines().collect::<Vec<_>>());
}

/// The inventory comes from the configuration alone; the modules and the file must have the same one.
#[test]
fn modules_and_files_have_that_inventory() {
    for conv_kernel_size in [0, 5] {
        let config = NystromformerConfig {
            vocab_size: 11,
            hidden_size: 6,
            num_hidden_layers: 2,
            num_attention_heads: 3,
            intermediate_size: 7,
            max_position_embeddings: 9,
            num_landmarks: 4,
            conv_kernel_size,
            ..NystromformerConfig::default()
        };
        let expected = lines(masked_lm_parameters(&config));
        let model = config.init_masked_lm(&Device::flex()).unwrap();
        let parameters = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
        assert_eq!(parameters.len(), expected.len());

        let folder = tempfile::tempdir().unwrap();
        save_masked_lm(&model, folder.path()).unwrap();
        let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let stored = file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec()));
        assert_eq!(lines(stored), expected);
    }
}
