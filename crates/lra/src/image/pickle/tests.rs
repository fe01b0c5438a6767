//! Pickles written opcode by opcode.

use proptest::prelude::*;

use super::machine::MAX_VALUES;
use super::*;

/// A batch as Python 2 pickles it, opcode by opcode.
pub(in crate::image) fn pickled(labels: &[u8], pictures: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05(".to_vec();
    for label in labels {
        file.extend([b'K', *label]);
    }
    file.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01");
    file.push(b'J');
    file.extend((labels.len() as i32).to_le_bytes());
    file.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    file.extend((pictures.len() as u32).to_le_bytes());
    file.extend(pictures);
    file.extend(b"tbU\x09filenamesq\x0c]q\x0d(U\x05a.pngU\x05b.pngeu.");
    file
}

#[test]
fn a_batch_of_python_2_is_read() {
    let pictures: Vec<u8> = (0..2 * PICTURE_BYTES).map(|byte| byte as u8).collect();
    let read = batch(&pickled(&[3, 9], &pictures)).unwrap();
    assert_eq!(read.labels, [3, 9]);
    assert_eq!(read.pictures, pictures);
}

/// Made by Python 3 with NumPy 2 (protocols 2 to 5) and NumPy 1 (`numpy1-4`), pictures and labels as below:
/// `pickle.dumps({b"labels": [3, 9], b"data": data, b"filenames": [b"a.png", b"b.png"]}, protocol)`.
#[test]
fn batches_written_anew_by_python_3_are_read_in_every_protocol() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cifar");
    let pictures: Vec<u8> = (0..2 * PICTURE_BYTES).map(|byte| (byte * 7 % 256) as u8).collect();
    for protocol in ["2", "3", "4", "5", "5-text-keys", "numpy1-4"] {
        let file = std::fs::read(folder.join(format!("protocol-{protocol}.pickle"))).unwrap();
        let read = batch(&file).unwrap_or_else(|problem| panic!("{protocol}: {problem}"));
        assert_eq!(read.labels, [3, 9], "{protocol}");
        assert!(read.pictures == pictures, "{protocol}");
    }
}

#[test]
fn a_text_that_is_decoded_again_and_again_is_refused() {
    let mut file = b"\x80\x02c_codecs\nencode\nq\x00X".to_vec();
    file.extend(1000_u32.to_le_bytes());
    file.extend([b'a'; 1000]);
    file.extend(b"q\x01X\x06\x00\x00\x00latin1q\x02\x86R");
    file.extend(b"h\x00h\x01h\x02\x86R.");
    let problem = batch(&file).err().unwrap();
    assert!(problem.contains("decodes more"), "{problem}");
}

#[test]
fn what_is_no_batch_is_told_and_nothing_is_called() {
    let picture = [0u8; PICTURE_BYTES];
    let whole = pickled(&[1], &picture);
    let replaced = |from: &[u8], to: &[u8]| {
        let place = whole.windows(from.len()).position(|window| window == from).unwrap();
        [&whole[..place], to, &whole[place + from.len()..]].concat()
    };
    for (file, message) in [
        (b"\x80\x02cos\nsystem\nU\x02ls\x85R.".to_vec(), "calls `os.system`"),
        (b"\x80\x06.".to_vec(), "protocol 6"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.".to_vec(), "calls `os.system`"),
        (b"\x80\x02].".to_vec(), "holds no dictionary"),
        (b"\x80\x02}.".to_vec(), "no key `labels`"),
        (b"\x80\x02R".to_vec(), "takes values that are not there"),
        (b"\x89PNG".to_vec(), "opcode `0x50`"),
        (vec![], "ends too early"),
        (whole[..whole.len() - 40].to_vec(), "ends too early"),
        (replaced(b"U\x02u1", b"U\x02f4"), "type is `f4`"),
        (replaced(b"M\x00\x0c\x86", b"M\x00\x04\x86"), "1 rows of 1024"),
        (pickled(&[1, 2], &picture), "2 rows of 3072 and 3072 bytes"),
        (vec![b'N'; MAX_VALUES + 1], "more than 200000 values"),
        ([&b"N"[..], &[0x85; 10_000]].concat(), "nests values"),
        (b"](]e".to_vec(), "nests values"),
        (b"}(K\x01}u".to_vec(), "nests values"),
        (b"N\x85q\x00h\x00h\x00\x86q\x01".to_vec(), "number 0 stands for no value"),
    ] {
        let problem = batch(&file).err().unwrap();
        assert!(problem.contains(message), "{problem}");
    }
}

proptest! {
    #[test]
    fn damage_is_never_a_panic(place in 0usize..200, byte: u8, cut in 0usize..400) {
        let mut file = pickled(&[1], &[0; PICTURE_BYTES]);
        file[place] = byte;
        let _ = batch(&file);
        file.truncate(file.len() - cut);
        let _ = batch(&file);
    }
}
