//! Labels that tables write where a value is missing, and that are hardly classes: `nan`, `NULL`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::say_once;

/// What pandas, SQL and spreadsheets write where a value is missing (pandas' `na_values`, and `\N` of SQL) and nobody calls a class.
const HARDLY_CLASSES: [&str; 10] =
    ["nan", "NaN", "NAN", "-nan", "-NaN", "<NA>", "\\N", "null", "NULL", "#N/A"];

/// What they write too, and some classes are called.
const PERHAPS_CLASSES: [&str; 5] = ["NA", "N/A", "n/a", "None", "none"];

/// Names that an error lists at most.
const SHOWN: usize = 12;

/// Looks for such labels among those that occur in `column` of the data at `path`, each with how often; nobody has named them as
/// classes, unless they are among the `known`, which a model has. What may be a class is said once.
///
/// # Errors
///
/// [`DataError::Dataset`] for one that is hardly a class, with the two ways to say what it is.
pub(crate) fn check_missing(
    counts: &BTreeMap<String, u64>,
    path: &Path,
    column: &dyn Display,
    known: &[String],
) -> Result<(), DataError> {
    let is_in = |list: &[&str], name: &String| list.contains(&name.as_str());
    let is_missing = |name: &String| is_in(&HARDLY_CLASSES, name) && !known.contains(name);
    if let Some((missing, count)) = counts.iter().find(|(name, _)| is_missing(name)) {
        let named = |with: bool| {
            let names = counts.keys().filter(|name| with || !is_missing(name));
            let shown = names.clone().take(SHOWN).map(|name| format!("{name:?}"));
            let left = (names.count() > SHOWN).then(|| "…".to_owned());
            shown.chain(left).collect::<Vec<_>>().join(", ")
        };
        return Err(DataError::dataset(
            path,
            format!(
                "{column} holds `{missing}` `{count}` times, as tables do where a value is missing: if it is a class, set \
                 `task.labels = [{}]`; if it means that there is no label, set `task.labels = [{}]` and drop these rows, or empty \
                 their cells",
                named(true),
                named(false)
            ),
        ));
    }
    let may_be_missing = |name: &String| {
        is_in(&PERHAPS_CLASSES, name) || (is_in(&HARDLY_CLASSES, name) && known.contains(name))
    };
    for (perhaps, count) in counts.iter().filter(|(name, _)| may_be_missing(name)) {
        say_once(format!(
            "`{}`: `{perhaps}`, which stands in {column} `{count}` times, is taken for a class; if it means that there is no label, \
             drop these rows, or empty their cells (`task.labels` names the classes)",
            path.display()
        ));
    }
    Ok(())
}
