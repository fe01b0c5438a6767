//! Names of models: `owner/name`, or `owner/name@revision`.

use std::fmt;

use crate::error::{HubError, Result, brief};

/// What may stand before a name, and does where a folder could be meant.
const PREFIX: &str = "hub:";

/// The revision where none is named.
pub(crate) const MAIN: &str = "main";

/// Longest part of a name, as the Hub has it.
const LONGEST_PART: usize = 96;

/// Longest revision, so that it is the name of a file too.
const LONGEST_REVISION: usize = 200;

/// A model on the Hub, at a revision of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    id: String,
    revision: String,
}

impl ModelName {
    /// Reads `owner/name` or `owner/name@revision`, with or without `hub:` before it. A revision is a branch, a tag or a
    /// commit; without one it is `main`. Models of the Hub's first years have no owner.
    ///
    /// # Errors
    /// [`HubError::Usage`] if the text is no such name.
    pub fn parse(text: &str) -> Result<Self> {
        let named = text.strip_prefix(PREFIX).unwrap_or(text);
        let (id, revision) = named.split_once('@').unwrap_or((named, MAIN));
        let parts: Vec<&str> = id.split('/').collect();
        let is_name = parts.len() <= 2 && parts.iter().all(|part| is_part(part));
        if !is_name || id.strip_suffix(".git").is_some() {
            return Err(HubError::Usage(format!(
                "`{}` is no name on the Hub: write `owner/name` or `owner/name@revision`, of letters, digits, `-`, `_` and `.`",
                brief(named)
            )));
        }
        Self { id: id.to_owned(), revision: MAIN.to_owned() }.at(revision)
    }

    /// The same at another revision.
    ///
    /// # Errors
    /// [`HubError::Usage`] if no branch, tag or commit can be called so.
    pub fn at(&self, revision: &str) -> Result<Self> {
        let is_plain = |one: char| one.is_ascii_graphic() && !"\\~^:?*[@".contains(one);
        let is_component = |part: &str| !part.is_empty() && !part.starts_with('.');
        let is_revision = revision.len() <= LONGEST_REVISION
            && revision.chars().all(is_plain)
            && revision.split('/').all(is_component)
            && !revision.contains("..")
            && !revision.starts_with('-');
        if !is_revision {
            return Err(HubError::Usage(format!(
                "`{}` is no revision: name a branch, a tag or a commit",
                brief(revision)
            )));
        }
        Ok(Self { id: self.id.clone(), revision: revision.to_owned() })
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A branch, a tag or a commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id)?;
        if self.revision == MAIN { Ok(()) } else { write!(formatter, "@{}", self.revision) }
    }
}

/// Whether the Hub allows this for an owner or a model. `--` is left out, since the cache puts it between both.
fn is_part(part: &str) -> bool {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    (1..=LONGEST_PART).contains(&part.len())
        && part.chars().all(is_plain)
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

/// Whether a revision is a commit by its whole hash, which means the same files for ever.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_an_owner_and_a_revision_or_neither() {
        let name = ModelName::parse("hub:uw-madison/nystromformer-512@v1.0").unwrap();
        assert_eq!((name.id(), name.revision()), ("uw-madison/nystromformer-512", "v1.0"));
        assert_eq!(name.to_string(), "uw-madison/nystromformer-512@v1.0");
        let name = ModelName::parse("bert-base-uncased").unwrap();
        assert_eq!((name.id(), name.revision()), ("bert-base-uncased", "main"));
        assert_eq!(name.to_string(), "bert-base-uncased");
        assert_eq!(ModelName::parse("a/b@refs/pr/1").unwrap().revision(), "refs/pr/1");
    }

    #[test]
    fn what_could_leave_the_cache_or_cheat_an_address_is_no_name() {
        for text in [
            "", "hub:", "/", "a/", "/a", "a/b/c", "..", "../b", "a/..", "a/.b", "a/b.git",
            "a--b/c", "a/b c", "a/b?x", "a/b#x", "a%2fb", "a\\b", "ä/b", "a/b\n",
        ] {
            let error = ModelName::parse(text).unwrap_err();
            assert!(matches!(error, HubError::Usage(_)), "{text:?}: {error}");
        }
        for revision in
            ["", "..", "a/../b", "a//b", "/a", "a/", ".a", "a b", "a@b", "-a", "a\u{7f}"]
        {
            assert!(ModelName::parse(&format!("a/b@{revision}")).is_err(), "{revision:?}");
        }
        assert!(ModelName::parse(&"a".repeat(97)).is_err());
        assert!(ModelName::parse(&format!("a@{}", "b".repeat(201))).is_err());
        let error = ModelName::parse(&"\u{1b}".repeat(100_000)).unwrap_err().to_string();
        assert!(error.len() < 500 && !error.contains('\u{1b}'), "{error}");
    }
}
