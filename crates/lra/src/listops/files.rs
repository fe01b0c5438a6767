//! Splits written as the Long Range Arena's files.

use std::path::Path;

use nystromformer_tasks::{DataError, Split, durable};

use super::generate::{Expression, GeneratorConfig, expressions};
use super::symbol::with_parentheses;
use crate::SplitSizes;
use crate::writing::{new_files, write_lines};

/// The Arena's own sizes.
pub const LRA_SIZES: SplitSizes = SplitSizes { train: 96_000, validation: 2_000, test: 2_000 };

/// The first line of each file.
pub(super) const HEADER: &str = "Source\tTarget";

/// The files in a folder of the Long Range Arena.
const FILES: [(Split, &str); 3] = [
    (Split::Train, "basic_train.tsv"),
    (Split::Validation, "basic_val.tsv"),
    (Split::Test, "basic_test.tsv"),
];

/// The file of a split in a folder of the Long Range Arena; `None` for a split that it does not have.
pub fn file_name(split: Split) -> Option<&'static str> {
    FILES.into_iter().find(|(of, _)| *of == split).map(|(_, name)| name)
}

/// What was generated, and from what; written beside the files as `generated.json`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Generated {
    /// Examples of each split.
    pub sizes: SplitSizes,
    /// The seed.
    pub seed: u64,
    /// The shape of the expressions.
    pub config: GeneratorConfig,
    /// Trees that had to be drawn for them.
    pub drawn: u64,
}

/// Generates the three files `basic_{train,val,test}.tsv` in `folder`, which is made if it is not there; no expression
/// stands in two of them, or twice in one. The test set is drawn first and the training set last, so that a smaller
/// training set is the beginning of a larger one and the others stay the same.
///
/// A file is there whole or not at all, and none is replaced.
///
/// # Errors
///
/// [`DataError::Dataset`] if one of the files is there already, [`DataError::Config`] for a config that allows too few
/// expressions, [`DataError::Io`].
pub fn generate_files(
    folder: &Path,
    config: GeneratorConfig,
    sizes: SplitSizes,
    seed: u64,
) -> Result<Generated, DataError> {
    let mut expressions = expressions(config, seed)?;
    let [train, validation, test] = FILES.map(|(_, name)| name);
    let [train, validation, test, description] =
        new_files(folder, [train, validation, test, "generated.json"])?;
    for (path, examples) in
        [(test, sizes.test), (validation, sizes.validation), (train, sizes.train)]
    {
        let rows = expressions.by_ref().take(examples).map(|expression| {
            let Expression { tokens, value } = expression?;
            Ok(format!("{}\t{value}", with_parentheses(&tokens)))
        });
        write_lines(&path, std::iter::once(Ok(HEADER.to_owned())).chain(rows))?;
    }
    let generated = Generated { sizes, seed, config, drawn: expressions.drawn() };
    let text = serde_json::to_string_pretty(&generated).expect("numbers have a JSON form") + "\n";
    durable::replace(&description, text.as_bytes())?;
    Ok(generated)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;

    fn config() -> GeneratorConfig {
        GeneratorConfig { above_length: 20, below_length: 60, ..GeneratorConfig::default() }
    }

    fn lines(folder: &Path, split: Split) -> Vec<String> {
        let text = fs::read_to_string(folder.join(file_name(split).unwrap())).unwrap();
        let (header, rest) = text.split_once('\n').unwrap();
        assert_eq!(header, HEADER);
        rest.lines().map(str::to_owned).collect()
    }

    #[test]
    fn splits_are_distinct_and_the_test_set_does_not_depend_on_the_training_set() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (folder, train) in folders.iter().zip([60, 20]) {
            let sizes = SplitSizes { train, validation: 7, test: 5 };
            let generated = generate_files(folder.path(), config(), sizes, 11).unwrap();
            assert!(generated.drawn > sizes.total() as u64);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        }
        let [large, small] = folders.each_ref().map(tempfile::TempDir::path);
        assert_eq!(lines(large, Split::Test), lines(small, Split::Test));
        assert_eq!(lines(large, Split::Train)[..20], lines(small, Split::Train));
        let all = Split::USUAL.map(|split| lines(large, split));
        assert_eq!(all.each_ref().map(Vec::len), [60, 7, 5]);
        assert_eq!(all.iter().flatten().collect::<HashSet<_>>().len(), 72);
    }

    #[test]
    fn nothing_is_replaced_and_a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = SplitSizes { train: 3, validation: 1, test: 1000 };
        let few = GeneratorConfig { above_length: 3, below_length: 5, max_depth: 2, ..config() };
        assert!(generate_files(folder.path(), few, sizes, 0).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(folder.path().join("basic_val.tsv"), "mine").unwrap();
        let message = generate_files(folder.path(), config(), sizes, 0).unwrap_err().to_string();
        assert!(message.contains("basic_val.tsv") && message.contains("already"), "{message}");
    }
}
