//! ZIP archives that lie, and a writer of archives for those that hold hostile pickles.

use std::iter;

use proptest::prelude::*;

use crate::{attempt, load_error, pickle_bytes, with_weights};

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const WIDE_END: &[u8] = b"PK\x06\x06";

/// An archive of stored entries.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let header = (bytes.len() as u32).to_le_bytes();
        let length = (content.len() as u32).to_le_bytes();
        // From the flags to the length of the extra field.
        let mut common = vec![0; 8];
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend(length.into_iter().chain(length));
        common.extend((name.len() as u32).to_le_bytes());
        bytes.extend(LOCAL.iter().chain(&[20, 0]).chain(&common).chain(name.as_bytes()));
        bytes.extend_from_slice(content);
        directory.extend(ENTRY.iter().chain(&[20, 0, 20, 0]).chain(&common).copied());
        directory.extend(iter::repeat_n(0, 10).chain(header));
        directory.extend_from_slice(name.as_bytes());
    }
    let start = (bytes.len() as u32).to_le_bytes();
    bytes.extend_from_slice(&directory);
    bytes.extend(END.iter().chain(&[0; 4]));
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend(count.into_iter().chain(count));
    bytes.extend((directory.len() as u32).to_le_bytes().into_iter().chain(start).chain([0; 2]));
    bytes
}

/// Where the signature stands for the `index`th time.
fn find(bytes: &[u8], signature: &[u8], index: usize) -> usize {
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == signature);
    starts.map(|(at, _)| at).nth(index).unwrap()
}

fn error_of(bytes: &[u8]) -> String {
    load_error(with_weights("pytorch_model.bin", "bin", bytes).path())
}

#[test]
fn lying_directories_are_refused() {
    // Fields by the signature that they follow: torch writes the wide forms, too.
    for (signature, index, at, value, words) in [
        (ENTRY, 0, 8, &[1, 0][..], "compressed or encrypted"),
        (ENTRY, 0, 10, &[8, 0], "compressed or encrypted"),
        (ENTRY, 0, 24, &[0xff], "two lengths"),
        (ENTRY, 2, 28, &[0xff, 0xff], "directory"),
        (ENTRY, 1, 42, &[0, 0, 0, 0], "overlap"),
        (ENTRY, 1, 42, &[1, 0, 0, 0], "not where its directory says"),
        (ENTRY, 1, 42, &[0xff, 0xff, 0xff, 0x7f], "says that `30` lie at byte `2147483647`"),
        (ENTRY, 0, 46, &[0xff], "not UTF-8"),
        (LOCAL, 3, 28, &[0xff, 0xff], "reaches into the directory"),
        (WIDE_END, 0, 32, &[0xff; 8], "claims `18446744073709551615` entries"),
        (WIDE_END, 0, 32, &[0xff, 0], "shorter than it says"),
        (WIDE_END, 0, 40, &[0xff; 8], "bytes at byte"),
        (WIDE_END, 0, 48, &[0xff; 8], "at byte `18446744073709551615`"),
        (WIDE_END, 0, 48, &[0; 8], "something other than an entry"),
        (LOCATOR, 0, 8, &[0xff; 8], "says that `56` lie"),
        (LOCATOR, 0, 8, &[1, 0, 0, 0, 0, 0, 0, 0], "not where it says"),
        (END, 0, 20, &[1, 0], "without an end"),
    ] {
        let mut bytes = pickle_bytes().to_vec();
        let start = find(&bytes, signature, index) + at;
        bytes[start..start + value.len()].copy_from_slice(value);
        let text = error_of(&bytes);
        assert!(text.contains(words), "{signature:?} {at} {value:?}: {text}");
    }
}

#[test]
fn archives_without_one_pickle_are_refused() {
    let tensors = b"\x80\x02}.";
    for (entries, words) in [
        (&[][..], "neither a ZIP archive"),
        (&[("a/version", &b"3"[..])], "without a data.pkl"),
        (&[("a/b/data.pkl", tensors)], "without a data.pkl"),
        (&[("a/data.pkl", tensors), ("b/data.pkl", tensors)], "two data.pkl"),
        (&[("a/data.pkl", tensors), ("a/data.pkl", tensors)], "`a/data.pkl` twice"),
        (&[("a/data.pkl", tensors), ("a/byteorder", b"middle")], "neither `little` nor `big`"),
        (&[("a/data.pkl", tensors), ("a/byteorder", &[b' '; 5000])], "neither `little` nor `big`"),
        (&[("a/data.pkl", b"")], "its pickle ends"),
    ] {
        let text = error_of(&archive(entries));
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn archives_of_many_entries_are_refused_within_bounds() {
    let names: Vec<String> = (0..60_000).map(|index| format!("a/data/{index}")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    assert!(error_of(&archive(&entries)).contains("without a data.pkl"));
}

proptest! {
    /// Everything behind the last storage: the directory and the records that end it.
    #[test]
    fn altered_directories_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = pickle_bytes().to_vec();
        let start = find(&bytes, ENTRY, 0);
        for (index, byte) in edits {
            let index = start + index.index(bytes.len() - start);
            bytes[index] = byte;
        }
        let _ = attempt(with_weights("pytorch_model.bin", "bin", &bytes).path());
    }
}
