//! Names of classes that are several names, joined: `toxic;insult` beside `toxic` and `insult`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nystromformer_files::say_once;
use nystromformer_files::table::Column;

/// What labels are often joined by.
const SEPARATORS: [char; 3] = [';', '|', ','];

/// The parts of a name, without blanks around them, each once.
fn parts(name: &str, separator: char) -> BTreeSet<&str> {
    name.split(separator).map(str::trim).collect()
}

/// The first name of several parts each of which is another name, or a part of one; and what separates them.
fn first_joined<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<(&'a str, char)> {
    SEPARATORS.into_iter().find_map(|separator| {
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for part in names.clone().flat_map(|name| parts(name, separator)) {
            *holders.entry(part).or_default() += 1;
        }
        let is_joined = |name: &&str| {
            let parts = parts(name, separator);
            parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && holders[part] > 1)
        };
        Some((names.clone().find(is_joined)?, separator))
    })
}

/// Says it, if some of the names look as if they were several.
pub(super) fn tell_joined<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    path: &Path,
    column: &Column,
) {
    if let Some((name, separator)) = first_joined(names) {
        say_once(format!(
            "`{}`: `{name}` in {column} is taken for one class, and its parts between `{separator}` are classes too: if any number \
             of labels applies to a row, set `task.label_separator = \"{separator}\"`",
            path.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_joined_if_each_of_its_parts_is_a_name_elsewhere() {
        let found = |names: &[&'static str]| first_joined(names.iter().copied());
        assert_eq!(found(&["insult", "toxic", "toxic;insult"]), Some(("toxic;insult", ';')));
        assert_eq!(found(&["a | b", "b|c", "a|c"]), Some(("a | b", '|')));
        assert_eq!(found(&["Arts, Crafts", "Food, Drink", "Arts"]), None);
        assert_eq!(found(&["a;", "a", ";"]), None);
        assert_eq!(found(&["neg", "pos"]), None);
    }
}
