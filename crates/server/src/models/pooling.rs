//! What becomes of a text's hidden states, as sentence-transformers' `1_Pooling/config.json` says it.

use std::{fs, io, path::Path};

use nystromformer_interop::InteropError;
use nystromformer_pipelines::{FeaturePooling, PipelineError};
use serde_json::{Map, Value};

/// The pooling of the model in `folder`: the mean where nothing is said.
///
/// # Errors
/// If the file is damaged, or asks for what is not served.
pub(super) fn of_folder(folder: &Path) -> Result<FeaturePooling, PipelineError> {
    let path = folder.join("1_Pooling").join("config.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FeaturePooling::Mean),
        Err(source) => return Err(InteropError::Read { path, source }.into()),
    };
    let keys: Map<String, Value> = match serde_json::from_slice(&text) {
        Ok(keys) => keys,
        Err(error) => {
            return Err(InteropError::Damaged { path, reason: error.to_string() }.into());
        }
    };
    let asked: Vec<&str> = keys
        .iter()
        .filter(|(key, value)| key.starts_with("pooling_mode_") && **value == Value::Bool(true))
        .map(|(key, _)| key.as_str())
        .collect();
    match asked[..] {
        ["pooling_mode_cls_token"] => Ok(FeaturePooling::Cls),
        ["pooling_mode_mean_tokens"] | [] => Ok(FeaturePooling::Mean),
        _ => {
            let reason = format!(
                "`{}` is not served; `pooling_mode_mean_tokens` and `pooling_mode_cls_token` are, one of them",
                asked.join("`, `")
            );
            Err(InteropError::Unsupported { path, reason }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mode_is_taken_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(folder.path()).unwrap(), FeaturePooling::Mean);
        fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        let with = |text: &str| {
            fs::write(folder.path().join("1_Pooling/config.json"), text).unwrap();
            of_folder(folder.path()).map_err(|error| error.to_string())
        };
        let cls = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
        assert_eq!(with(cls), Ok(FeaturePooling::Cls));
        let mean = r#"{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true}"#;
        assert_eq!(with(mean), Ok(FeaturePooling::Mean));
        let max = with(r#"{"pooling_mode_max_tokens": true}"#).unwrap_err();
        assert!(max.contains("`pooling_mode_max_tokens`") && max.contains("config.json"), "{max}");
        let both = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#;
        assert!(with(both).is_err());
        assert!(with("[1").is_err());
    }
}
