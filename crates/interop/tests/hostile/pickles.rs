//! Pickles that try to run code, to use up memory or time, or to read beyond their storages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use crate::{archives::archive, attempt, load_error, pickle_bytes, with_weights};

/// Bytes of the one storage beside a program, whose key is `0`.
const STORAGE: usize = 16;

/// A file with this program and a storage of four floats.
fn file(program: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", program), ("a/data/0", &[0; STORAGE])])
}

/// The error of a file in torch's present format, which is that of the older one, too.
fn error_of(program: &[u8]) -> String {
    let text = load_error(with_weights("pytorch_model.bin", "bin", &file(program)).path());
    let mut legacy = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    legacy.extend_from_slice(b"\x80\x02M\xe9\x03.\x80\x02}.");
    legacy.extend_from_slice(program);
    legacy.extend_from_slice(b"\x80\x02]X\x01\0\0\x000a.");
    legacy.extend_from_slice(&4u64.to_le_bytes());
    legacy.extend_from_slice(&[0; STORAGE]);
    load_error(with_weights("pytorch_model.bin", "bin", &legacy).path());
    text
}

/// Opcodes that push a string.
fn string(text: &str) -> Vec<u8> {
    let mut opcodes = b"X".to_vec();
    opcodes.extend((text.len() as u32).to_le_bytes());
    opcodes.extend_from_slice(text.as_bytes());
    opcodes
}

/// Opcodes that rebuild a tensor, from those of its storage's length, its offset, its shape and its strides.
fn tensor(length: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    tensor_in("0", length, offset, shape, strides)
}

/// As [`tensor`], in the storage `key`.
fn tensor_in(key: &str, length: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let class = b"ctorch\nFloatStorage\n".to_vec();
    let id = [string("storage"), class, string(key), string("cpu")].concat();
    let function = &b"ctorch._utils\n_rebuild_tensor_v2\n((";
    [&function[..], &id, length, b"tQ", offset, shape, strides, b"\x89}tR"].concat()
}

/// A program whose result is a dict of one item.
fn dict_of(name: &str, value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}", &string(name)[..], value, b"s."].concat()
}

/// Programs that would run `command` if they were run.
fn commands(command: &str) -> Vec<Vec<u8>> {
    let argument = string(command);
    let python = string(&format!("__import__('os').system({command:?})"));
    vec![
        [b"cposix\nsystem\n", &argument[..], b"\x85R"].concat(),
        [b"cos\nsystem\n", &argument[..], b"\x85\x81"].concat(),
        [b"cbuiltins\neval\n", &python[..], b"\x85R"].concat(),
        [b"cbuiltins\nexec\n", &python[..], b"\x85}\x92"].concat(),
        [&string("subprocess")[..], &string("getoutput"), b"\x93", &argument, b"\x85R"].concat(),
        [b"ctorch._tensor\n_rebuild_from_type_v2\n(cposix\nsystem\nN", &argument[..], b"\x85NtR"]
            .concat(),
        [b"c__main__\nModel\n)\x81}", &string("__setstate__")[..], &argument, b"sb"].concat(),
        [b"ctorch.hub\nload\n", &argument[..], b"\x85R"].concat(),
    ]
}

#[test]
fn nothing_in_a_pickle_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    for call in commands(&format!("touch {}", marker.display())) {
        let text = error_of(&[b"\x80\x02", &call[..], b"."].concat());
        assert!(text.contains("not a state dict"), "{text}");
        let text = error_of(&dict_of("cls.predictions.bias", &call));
        assert!(text.contains("holds no state dict"), "{text}");

        // Where an optimizer would be, it is passed over.
        let model = data_of(pickle_bytes(), "pytorch_model/data.pkl");
        let model = &model[2..model.len() - 1];
        let program =
            [b"\x80\x02}(", &string("model")[..], model, &string("optimizer"), &call, b"u."];
        let program = program.concat();
        attempt(&with_program(&program, folder.path())).unwrap();
    }
    assert!(!marker.exists(), "a pickle's code was run");
}

/// A model folder like the fixture `bin` with another program, made in `parent`.
fn with_program(program: &[u8], parent: &Path) -> PathBuf {
    let folder = parent.join("model");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(crate::fixture("bin").join("config.json"), folder.join("config.json")).unwrap();
    let names: Vec<String> = (0..64).map(|key| format!("pytorch_model/data/{key}")).collect();
    let mut entries = vec![("pytorch_model/data.pkl", program)];
    let stored = names.iter().map(|name| (name.as_str(), data_of(pickle_bytes(), name)));
    entries.extend(stored.filter(|(_, data)| !data.is_empty()));
    fs::write(folder.join("pytorch_model.bin"), archive(&entries)).unwrap();
    folder
}

/// The content of an archive's entry, empty if there is none.
fn data_of<'a>(archive: &'a [u8], name: &str) -> &'a [u8] {
    let word = |at: usize, bytes: usize| {
        archive[at..at + bytes]
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let directory = (0..archive.len() - 46).filter(|at| archive[*at..].starts_with(b"PK\x01\x02"));
    let mut entry = directory.filter(|at| {
        archive[at + 46..].starts_with(name.as_bytes()) && word(at + 28, 2) == name.len()
    });
    let Some(entry) = entry.next() else { return &[] };
    let header = word(entry + 42, 4);
    let start = header + 30 + word(header + 26, 2) + word(header + 28, 2);
    &archive[start..start + word(entry + 24, 4)]
}

#[test]
fn lengths_beyond_the_file_are_refused() {
    let long = i32::MAX.to_le_bytes();
    let huge = (1u64 << 62).to_le_bytes();
    for (opcode, length) in [
        (b'X', &long[..]),
        (b'T', &[0xff; 4]),
        (b'U', &[0xff]),
        (b'B', &long),
        (0x8b, &long),
        (0x8b, &[0xff; 4]),
        (0x8c, &[0xff]),
        (0x8d, &huge),
        (0x8e, &huge),
        (0x8e, &[0xff; 8]),
        (0x96, &huge),
        (0x95, &huge),
        (b'r', &[0xff; 4]),
        (b'j', &[0xff; 4]),
    ] {
        let text = error_of(&[b"\x80\x04N", &[opcode][..], length, b"x."].concat());
        assert!(text.contains("its pickle"), "{opcode:#04x}: {text}");
    }
    for line in [&b"cos"[..], b"cos\nsystem", b"\x80", b"", b"K", b"\x8a\x7f"] {
        error_of(line);
    }
}

#[test]
fn memory_stays_bounded() {
    const MANY: usize = 15_000_000;
    let of =
        |repeated: &[u8], times: usize| [b"\x80\x02", &repeated.repeat(times)[..], b"."].concat();
    // A program as long as any may be, of one opcode.
    for opcode in [&b"N"[..], b")", b"]", b"}", b"(", b"\x8f", b"K\x01", b"Nq\0", b"NN\x86", b"]Na"]
    {
        error_of(&of(opcode, MANY / opcode.len()));
    }
    error_of(&[b"\x80\x02N", &b"\x85".repeat(MANY)[..], b"."].concat());
    error_of(&[b"\x80\x02]", &b"2a".repeat(MANY / 2)[..], b"."].concat());
    error_of(&[b"\x80\x02]q\0", &b"h\0h\0\x86q\0".repeat(2_000_000)[..], b"."].concat());
    // A million lists, each the only item of the one before.
    for closed in [0, 999_999] {
        error_of(&[b"\x80\x02", &b"]".repeat(1_000_000)[..], &b"a".repeat(closed), b"."].concat());
    }
    // Each tuple holds the one before twice: 2^60 items if it were copied.
    let laughs = (0..60u8).map(|index| [b'h', index, b'h', index, 0x86, b'q', index + 1].to_vec());
    let laughs = laughs.collect::<Vec<_>>().concat();
    error_of(&[b"\x80\x02Nq\0", &laughs[..], b"."].concat());
    error_of(&[b"\x80\x02}", &string("a")[..], b"Nq\0", &laughs, b"s."].concat());
}

#[test]
fn time_stays_bounded() {
    // What is long is made once and used at every step.
    let pairs = [b"]q\0(", &b"NN\x86".repeat(50_000)[..], b"e0"].concat();
    let copies = b"ccollections\nOrderedDict\nh\0\x85R0".repeat(400_000);
    error_of(&[b"\x80\x02", &pairs[..], &copies[..], b"."].concat());

    let long = "x".repeat(4_000_000);
    let named = [b"c", long.as_bytes(), b"\nname\nq\0"].concat();
    error_of(&[b"\x80\x02", &named[..], &b"h\0)R0".repeat(200_000), b"."].concat());
    let text = [&string(&long)[..], b"q\0"].concat();
    error_of(&[b"\x80\x02", &text[..], &b"(h\0NNNNtQ0".repeat(200_000), b"."].concat());

    // A dict that stands under every key, and a tensor that does.
    let keys =
        (0..100_000).flat_map(|index| [string(&index.to_string()), b"h\0".to_vec()].concat());
    let keys: Vec<u8> = keys.collect();
    let whole = tensor(b"K\x04", b"K\0", b"K\x04\x85", b"K\x01\x85");
    let items = [&whole[..], b"q\0"].concat();
    let text = error_of(&[b"\x80\x02}", &string("a")[..], &items, b"s(", &keys, b"u."].concat());
    assert!(text.contains("more than 65536 tensors"), "{text}");
    let inner = [b"}q\0(", &keys[..], b"u"].concat();
    error_of(&[b"\x80\x02}", &string("a")[..], &inner, b"s(", &keys, b"u."].concat());
}

#[test]
fn views_beyond_their_storage_are_refused() {
    let (four, zero) = (&b"K\x04"[..], &b"K\0"[..]);
    let huge = &b"\x8a\x08\0\0\0\0\0\0\0\x40"[..]; // 2^62
    let pair = |first: &[u8], second: &[u8]| [first, second, b"\x86"].concat();
    let one = |item: &[u8]| [item, b"\x85"].concat();
    let unit = one(b"K\x01");
    for (length, offset, shape, strides, words) in [
        (&b"K\x05"[..], zero, one(four), unit.clone(), "claims `5` elements and has `16` bytes"),
        (b"K\x03", zero, one(b"K\x03"), unit.clone(), "claims `3` elements and has `16` bytes"),
        (four, b"K\x01", one(four), unit.clone(), "leaves its storage"),
        (four, huge, one(four), unit.clone(), "leaves its storage"),
        (four, b"J\xff\xff\xff\xff", one(four), unit.clone(), "has the number `-1`"),
        (four, zero, one(b"J\xff\xff\xff\xff"), unit.clone(), "has the number `-1`"),
        (four, zero, one(four), one(b"J\xff\xff\xff\xff"), "has the number `-1`"),
        (four, zero, one(b"K\x02"), one(four), "leaves its storage"),
        (four, zero, one(b"K\x02"), one(huge), "leaves its storage"),
        (four, zero, pair(huge, huge), pair(huge, b"K\x01"), "more elements"),
        (four, zero, pair(four, four), pair(zero, b"K\x01"), "more elements"),
        (four, zero, pair(b"K\x02", b"K\x02"), unit.clone(), "the strides `[1]`"),
        (four, zero, [b"(", &zero.repeat(9)[..], b"t"].concat(), unit.clone(), "`9` dimensions"),
        (four, zero, four.to_vec(), unit.clone(), "no tuple"),
        (four, zero, one(b"N"), unit.clone(), "not all numbers"),
        (huge, zero, one(four), unit.clone(), "claims"),
    ] {
        let text = error_of(&dict_of("weight", &tensor(length, offset, &shape, &strides)));
        assert!(text.contains("`weight`") && text.contains(words), "{words}: {text}");
    }
    let absent = dict_of("weight", &tensor_in("7", four, zero, &one(four), &unit));
    assert!(error_of(&absent).contains("its storage `7` is not in the file"));
}

#[test]
fn names_that_stand_twice_or_are_none_are_refused() {
    let whole = tensor(b"K\x04", b"K\0", b"K\x04\x85", b"K\x01\x85");
    let item = [&string("weight")[..], &whole].concat();
    let text = error_of(&[b"\x80\x02}(", &item[..], &item, b"u."].concat());
    assert!(text.contains("`weight` twice"), "{text}");
    assert!(error_of(&dict_of("\u{1b}[2J", &whole)).contains("no name of a parameter"));
    assert!(error_of(&dict_of(&"x".repeat(2_000_000), &whole)).contains("too long"));
    let text = error_of(&[b"\x80\x02}K\x01", &whole[..], b"s."].concat());
    assert!(text.contains("a name that is no string"), "{text}");
}

/// Opcodes without what follows them, of all protocols and beyond.
fn any_opcode() -> impl Strategy<Value = u8> {
    prop_oneof![
        8 => prop::sample::select(&b"().]}N\x88\x89aesultRbQ012\x81\x85\x86\x87\x90\x91\x92\x93\x94"[..]),
        2 => prop::sample::select(&b"KMJXUTGBCchjqr\x80\x8a\x8b\x8c\x8d\x8e\x95\x96"[..]),
        1 => any::<u8>(),
    ]
}

proptest! {
    #[test]
    fn random_programs_never_panic(program in prop::collection::vec(any_opcode(), 0..200)) {
        let whole = tensor(b"K\x04", b"K\0", b"K\x04\x85", b"K\x01\x85");
        let program = [b"\x80\x02", &whole[..], &program, b"."].concat();
        error_of(&program);
    }

    /// The fixture's program with some bytes replaced, and the checksum right.
    #[test]
    fn altered_programs_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_opcode()), 1..6),
    ) {
        let mut program = data_of(pickle_bytes(), "pytorch_model/data.pkl").to_vec();
        for (index, byte) in edits {
            let index = index.index(program.len());
            program[index] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let _ = attempt(&with_program(&program, folder.path()));
    }
}
