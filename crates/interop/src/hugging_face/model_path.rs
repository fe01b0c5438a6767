//! What a path that should be a model's folder is instead.

use std::path::{Component, Path};

use super::hub_names::downloads;
use crate::error::InteropError;

/// Refuses a path that is no folder, with what was probably meant: a name on the Hugging Face Hub without `hub:`, or a file of
/// the folder.
///
/// # Errors
/// [`InteropError::Missing`] if there is nothing, [`InteropError::Unsupported`] if there is a file.
pub fn require_model_folder(path: &Path) -> Result<(), InteropError> {
    if path.is_dir() {
        return Ok(());
    }
    if !path.exists() {
        return Err(missing(path, "a model is a folder with config.json and its weights"));
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.display().to_string(),
        _ => ".".to_owned(),
    };
    Err(InteropError::Unsupported {
        path: path.to_owned(),
        reason: format!(
            "it is a file, and a model is a folder with config.json and its weights: name the folder, `{folder}`; \
             weights of other forms become one with `import --from FILE`"
        ),
    })
}

/// The error for a path that is not there, where `expected` should be.
pub(super) fn missing(path: &Path, expected: &str) -> InteropError {
    let expected = match hub_name(path) {
        Some(name) => {
            let folder = name.rsplit('/').next().unwrap_or(name);
            let prefixed = if downloads() {
                format!("write `hub:{name}`, or ")
            } else {
                "from which this program was built to load nothing (feature `hub`), ".to_owned()
            };
            format!(
                "{expected}, and there is no such folder; if it is a name on the Hugging Face Hub, {prefixed}get it first \
                 (`hf download {name} --local-dir {folder}`) and name that folder"
            )
        }
        None => expected.to_owned(),
    };
    InteropError::Missing { path: path.to_owned(), expected }
}

/// The name of a model on the Hub, `owner/name`, if the path has that form as it was written or as seen from the folder of the
/// process (experiments have absolute paths), and its first folder is not there.
fn hub_name(path: &Path) -> Option<&str> {
    let here = std::env::current_dir().ok();
    let path = here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    let mut components = path.components();
    let (Some(Component::Normal(owner)), Some(Component::Normal(_)), None) =
        (components.next(), components.next(), components.next())
    else {
        return None;
    };
    let name = path.to_str()?;
    let is_plain = name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character));
    (is_plain && !Path::new(owner).exists()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refusal(path: &Path) -> String {
        require_model_folder(path).unwrap_err().to_string()
    }

    #[test]
    fn a_name_on_the_hub_is_told_to_be_downloaded_and_a_file_to_be_named_by_its_folder() {
        let message = refusal(Path::new("uw-madison/nystromformer-512"));
        let download = "`hf download uw-madison/nystromformer-512 --local-dir nystromformer-512`";
        assert!(message.starts_with("`uw-madison/nystromformer-512` not found: "), "{message}");
        assert!(message.contains(download), "{message}");
        let here = std::env::current_dir().unwrap();
        let absolute = refusal(&here.join("uw-madison/nystromformer-512"));
        assert!(absolute.contains(download), "{absolute}");

        let folder = tempfile::tempdir().unwrap();
        assert!(require_model_folder(folder.path()).is_ok());
        let file = folder.path().join("model.safetensors");
        fs::write(&file, "").unwrap();
        assert!(
            refusal(&file).contains(&format!("name the folder, `{}`", folder.path().display()))
        );

        // A run that is not there is no name on the Hub.
        for path in [folder.path().join("gone"), "gone".into(), "src/gone".into(), "/a/b".into()] {
            let message = refusal(&path);
            assert!(!message.contains("Hub") && message.contains("config.json"), "{message}");
        }
    }
}
