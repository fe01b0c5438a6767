//! An event file: events in the frames of TensorFlow's records, each with its length and two checksums.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::proto::Event;
use crate::error::{LearnerError, Result};

/// What every name of an event file begins with; the seconds of its birth follow, by which readers put the files of a folder in order.
const PREFIX: &str = "events.out.tfevents.";

/// The version that says: a session's start makes later steps of earlier files void.
const FILE_VERSION: &str = "brain.Event:2";

/// A new event file, which no other process writes to. Each event is one write: nothing waits in memory, and a crash cuts off the
/// last event at most, which readers pass over.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A file behind all that are in `folder`, which is made if it is not there.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(LearnerError::io("create", folder))?;
        let newest = seconds_of_names(folder)?.into_iter().max();
        let seconds = (now() as u64).max(newest.map_or(0, |newest| newest + 1));
        let path = folder.join(format!("{PREFIX}{seconds:010}.nystromformer"));
        let file = File::create_new(&path).map_err(LearnerError::io("create", &path))?;
        let mut created = Self { path, file };
        let version = Event { file_version: Some(FILE_VERSION.to_owned()), ..Event::default() };
        created.write(version)?;
        Ok(created)
    }

    /// Whether a folder holds event files.
    pub(super) fn any_in(folder: &Path) -> Result<bool> {
        Ok(folder.is_dir() && !seconds_of_names(folder)?.is_empty())
    }

    /// Writes an event, with the time.
    pub(super) fn write(&mut self, event: Event) -> Result<()> {
        let event = Event { wall_time: now(), ..event };
        let frame = frame(&event.encode_to_vec());
        self.file.write_all(&frame).map_err(LearnerError::io("write", &self.path))
    }

    /// Makes all events durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(LearnerError::io("sync", &self.path))
    }
}

/// The births of a folder's event files.
fn seconds_of_names(folder: &Path) -> Result<Vec<u64>> {
    let entries = fs::read_dir(folder).map_err(LearnerError::io("read", folder))?;
    let seconds = |name: &str| name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok();
    Ok(entries.filter_map(|entry| seconds(&entry.ok()?.file_name().to_string_lossy())).collect())
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// `data` in its frame: its length (8 bytes, the lowest first) with a checksum, and itself with a checksum.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut frame = Vec::with_capacity(data.len() + 16);
    frame.extend(length);
    frame.extend(masked_checksum(&length).to_le_bytes());
    frame.extend(data);
    frame.extend(masked_checksum(data).to_le_bytes());
    frame
}

/// The CRC-32C of `data`, turned and shifted: a checksum of data that holds checksums is weak (as `LevelDB` masks it).
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// CRC-32C bit by bit, by its polynomial (Castagnoli's, reversed).
    fn checksum(data: &[u8]) -> u32 {
        !data.iter().fold(u32::MAX, |register, byte| {
            (0..8).fold(register ^ u32::from(*byte), |register, _| {
                (register >> 1) ^ if register & 1 == 1 { 0x82f6_3b78 } else { 0 }
            })
        })
    }

    fn masked(data: &[u8]) -> u32 {
        let turned = u64::from(checksum(data)) * (1 << 17);
        ((turned >> 32) + turned % (1 << 32) + 0xa282_ead8) as u32
    }

    /// The events of a file, whose frames are checked, and how many bytes follow that are no whole frame.
    pub(in crate::tensorboard) fn read(bytes: &[u8]) -> (Vec<Event>, usize) {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some((head, after)) = rest.split_at_checked(12) {
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            let Some((body, after)) = after.split_at_checked(length + 4) else { break };
            let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
            assert_eq!(number(&head[8..]), masked(&head[..8]));
            assert_eq!(number(&body[length..]), masked(&body[..length]));
            events.push(Event::decode(&body[..length]).unwrap());
            rest = after;
        }
        (events, rest.len())
    }

    /// The check value of CRC-32C, and the vectors of RFC 3720 (B.4).
    #[test]
    fn checksums_are_those_of_the_standard() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (data, expected) in [
            (b"123456789".as_slice(), 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
        ] {
            assert_eq!(crc32c::crc32c(data), expected);
            assert_eq!(checksum(data), expected);
            assert_eq!(masked_checksum(data), masked(data));
        }
    }

    /// The bytes by hand: field 1 a double, 2 a varint, 5 a message with a message, in which 1 is a text and 2 a float.
    #[test]
    fn an_event_has_the_bytes_of_its_fields() {
        let value = super::super::proto::SummaryValue {
            tag: "a/b".to_owned(),
            simple_value: Some(0.0),
            ..Default::default()
        };
        let summary = super::super::proto::Summary { value: vec![value] };
        let event = Event { wall_time: 1.0, step: 300, summary: Some(summary), ..Event::default() };
        let value = [b"\x0a\x03a/b\x15\0\0\0\0".as_slice()].concat();
        let summary = [&[0x0a, value.len() as u8], value.as_slice()].concat();
        let expected = [
            b"\x09\0\0\0\0\0\0\xf0\x3f\x10\xac\x02".as_slice(),
            &[0x2a, summary.len() as u8],
            &summary,
        ]
        .concat();
        assert_eq!(event.encode_to_vec(), expected);
    }

    #[test]
    fn files_follow_one_another_and_one_that_was_cut_off_is_read_up_to_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep/tensorboard");
        assert!(!EventFile::any_in(&folder).unwrap());
        let mut first = EventFile::create(&folder).unwrap();
        for step in 1..=3 {
            first.write(Event { step, ..Event::default() }).unwrap();
        }
        let second = EventFile::create(&folder).unwrap();
        assert!(first.path < second.path && EventFile::any_in(&folder).unwrap());
        let bytes = fs::read(&first.path).unwrap();
        let steps = |bytes: &[u8]| {
            let (events, rest) = read(bytes);
            assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
            (events.iter().map(|event| event.step).collect::<Vec<_>>(), rest > 0)
        };
        assert_eq!(steps(&bytes), (vec![0, 1, 2, 3], false));
        assert_eq!(steps(&bytes[..bytes.len() - 3]), (vec![0, 1, 2], true));
    }
}
