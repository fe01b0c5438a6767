//! Which files of a repository are downloaded.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::error::brief;

/// Names of the files that the caller reads, as they stand in a repository, by their paths; no others are downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Those that are read where they are there, in the order in which they come. Put last what says that all are there.
    pub files: &'a [&'a str],
    /// Those with the weights, or the indexes (`….index.json`) that name several. The first that is there comes, and before all others.
    pub weights: &'a [&'a str],
}

/// The end of a name of a file that names others, with the weights in them.
const INDEX: &str = ".index.json";

/// Files that an index may name.
const MAX_SHARDS: usize = 1 << 10;

impl<'a> Wanted<'a> {
    /// The files that are there, without weights.
    pub(crate) fn listed_files(self, listed: &BTreeSet<String>) -> Vec<&'a str> {
        self.files.iter().copied().filter(|&file| listed.contains(file)).collect()
    }

    /// The file with the weights, or the index of several.
    pub(crate) fn listed_weights(self, listed: &BTreeSet<String>) -> Option<&'a str> {
        self.weights.iter().copied().find(|&file| listed.contains(file))
    }
}

/// Whether it names other files.
pub(crate) fn is_index(file: &str) -> bool {
    file.ends_with(INDEX)
}

/// What an index says.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files that an index names, all of which must be listed; or what is wrong with it.
pub(crate) fn shards(index: &[u8], listed: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let index: Index = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if shards.len() > MAX_SHARDS {
        return Err(format!("it names `{}` files", shards.len()));
    }
    let stray = shards.iter().find(|&shard| !listed.contains(shard) || !is_file_name(shard));
    if let Some(shard) = stray {
        return Err(format!("it names `{}`, which is not there", brief(shard)));
    }
    Ok(shards.into_iter().collect())
}

/// Whether it is the name of a file in the folder itself.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() < 256
        && !name.chars().any(|one| one.is_control() || "/\\:".contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(files: &[&str]) -> BTreeSet<String> {
        files.iter().map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn weights_are_taken_once_and_files_in_their_order() {
        let model = Wanted {
            files: &["tokenizer.json", "spiece.model", "vocab.txt", "config.json"],
            weights: &["model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json"],
        };
        let all = listed(&[
            ".gitattributes",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "spiece.model",
            "tokenizer.json",
        ]);
        assert_eq!(model.listed_files(&all), ["tokenizer.json", "spiece.model", "config.json"]);
        assert_eq!(model.listed_weights(&all), Some("model.safetensors"));
        assert_eq!(Wanted { weights: &[], ..model }.listed_weights(&all), None);
        let old = listed(&["pytorch_model.bin", "pytorch_model.bin.index.json"]);
        assert_eq!(model.listed_weights(&old), Some("pytorch_model.bin"));
        assert_eq!(model.listed_weights(&listed(&["flax_model.msgpack"])), None);
    }

    #[test]
    fn an_index_names_files_of_its_folder() {
        let two = br#"{"metadata": {}, "weight_map": {"a": "2.bin", "b": "1.bin", "c": "2.bin"}}"#;
        assert_eq!(shards(two, &listed(&["1.bin", "2.bin"])).unwrap(), ["1.bin", "2.bin"]);
        let error = shards(two, &listed(&["1.bin"])).unwrap_err();
        assert!(error.contains("`2.bin`"), "{error}");
        for name in ["../a", "a/b", "/a", "", "a\\\\b", ".a"] {
            let index = format!(r#"{{"weight_map": {{"a": "{name}"}}}}"#);
            let listed = listed(&[&name.replace("\\\\", "\\")]);
            assert!(shards(index.as_bytes(), &listed).is_err(), "{name}");
        }
        for index in ["", "[]", "{}", r#"{"weight_map": 1}"#, &"[".repeat(100_000)] {
            assert!(shards(index.as_bytes(), &BTreeSet::new()).is_err());
        }
    }
}
