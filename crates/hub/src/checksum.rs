//! What the bytes of a file are to be.
//!
//! The Hub names a large file by the SHA-256 of its content, and a small one as git does: by the SHA-1 of a blob. The name comes
//! as an entity tag, and is that of the file in the cache.

use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Longest entity tag that becomes the name of a file.
const LONGEST: usize = 128;

/// How often a checksum of a file looks at more of it.
const CHUNK_BYTES: usize = 1 << 18;

/// A file's content by its entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

/// What an entity tag says of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Sha256,
    GitBlob,
    /// A server of another kind: nothing.
    None,
}

impl EntityTag {
    /// The tag in a header, without quotes; `None` if it could not be the name of a file.
    pub(crate) fn of(header: &str) -> Option<Self> {
        let tag = header.trim().trim_start_matches("W/").trim_matches('"');
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_name = (1..=LONGEST).contains(&tag.len()) && tag.bytes().all(is_plain);
        is_name.then(|| Self(tag.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn checksum(&self) -> Checksum {
        let is_hash = self.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match self.0.len() {
            64 if is_hash => Checksum::Sha256,
            40 if is_hash => Checksum::GitBlob,
            _ => Checksum::None,
        }
    }

    /// The checksum of a file where it is another than the tag's.
    pub(crate) fn difference(&self, path: &Path) -> io::Result<Option<String>> {
        let found = match self.checksum() {
            Checksum::Sha256 => sha256(path)?,
            Checksum::GitBlob => git_blob(path)?,
            Checksum::None => return Ok(None),
        };
        Ok((found != self.0).then_some(found))
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    hashed(Sha256::new(), File::open(path)?)
}

/// What git calls a file of this content.
fn git_blob(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let header = format!("blob {}\0", file.metadata()?.len());
    hashed(Sha1::new_with_prefix(header), file)
}

fn hashed(mut hash: impl Digest, mut file: File) -> io::Result<String> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => hash.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of nothing, and what git calls an empty file.
    const EMPTY: [&str; 2] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    ];

    #[test]
    fn checksums_are_those_of_sha256sum_and_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        // `printf 'hello\n' | sha256sum` and `printf 'hello\n' | git hash-object --stdin`
        let hello = [
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ];
        for (content, tags) in [("", EMPTY), ("hello\n", hello)] {
            std::fs::write(&file, content).unwrap();
            for tag in tags {
                assert_eq!(EntityTag::of(tag).unwrap().difference(&file).unwrap(), None, "{tag}");
            }
        }
        let other = EntityTag::of(EMPTY[0]).unwrap();
        assert_eq!(other.difference(&file).unwrap().as_deref(), Some(hello[0]));
        assert_eq!(EntityTag::of("v1").unwrap().difference(&file).unwrap(), None);
    }

    #[test]
    fn a_tag_is_the_name_of_a_file_or_nothing() {
        let of = |header: &str| EntityTag::of(header).map(|tag| tag.as_str().to_owned());
        assert_eq!(of("W/\"abc-1\"").as_deref(), Some("abc-1"));
        for bad in ["", "\"\"", "..", "../a", "a/b", "a\\b", "a b", &"a".repeat(129)] {
            assert_eq!(of(bad), None, "{bad}");
        }
        let kind = |header: &str| EntityTag::of(header).unwrap().checksum();
        assert_eq!(kind(EMPTY[0]), Checksum::Sha256);
        assert_eq!(kind(EMPTY[1]), Checksum::GitBlob);
        assert_eq!(kind(&EMPTY[1].to_uppercase()), Checksum::None);
    }
}
