//! A device without room for a tensor: recognised by what Burn says of it, and told in one line.
//!
//! Burn 0.22.1 has no type for it, and says it in three ways. Where CubeCL's pools or the driver refuse an allocation, the tensor carries that error, all that is
//! made of it is skipped, and whoever reads a result is told: a text with the first error in it. Where wgpu's driver refuses, wgpu panics on the device's own
//! thread, and who reads a result hears that its work was torn down, not why. And operations that read for themselves panic on the thread that asked.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What to lower in training and evaluation.
pub const ADVICE: &str = "lower `trainer.micro_batch_size` or `data.seq_len`, or in training set `trainer.gradient_checkpointing = true` where it is \
                          allowed";

/// A tensor for which a device had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What was asked for, if that is known.
    pub bytes: Option<u64>,
    /// Whether there is no room for so large a tensor however little else there is.
    pub is_too_large: bool,
}

/// What stands before the number of bytes in the texts of CubeCL and wgpu, and whether that tensor never fits.
const WITH_BYTES: [(&str, bool); 5] = [
    ("can't allocate buffer of size: ", true),
    ("out of device memory allocating ", false),
    ("No room for ", false),
    ("Can't allocate ", false),
    ("Buffer size ", true),
];

/// Texts of wgpu and of drivers without one.
const WITHOUT_BYTES: [(&str, bool); 8] = [
    ("exceeds `max_*_buffer_binding_size` limit", true),
    ("wgpu error: Out of Memory", false),
    ("Not enough memory left", false),
    ("CUDA_ERROR_OUT_OF_MEMORY", false),
    ("hipErrorOutOfMemory", false),
    ("ERROR_OUT_OF_DEVICE_MEMORY", false),
    ("ERROR_OUT_OF_HOST_MEMORY", false),
    ("Must have enough memory for a uniform", false),
];

/// What is said of tensors whose room another thread failed to find.
const CONSEQUENCES: [&str; 4] = [
    "torn down before it could say what went wrong",
    "The work was skipped",
    "couldn't find resource for that handle",
    "the storage holds no allocation for that handle",
];

impl Shortage {
    /// The shortage that a text of Burn, or of what is below it, is about.
    pub fn in_text(text: &str) -> Option<Self> {
        let of_bytes = |&(words, is_too_large): &(&str, bool)| {
            let (_, rest) = text.split_once(words)?;
            let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            Some(Self { bytes: Some(rest[..digits].parse().ok()?), is_too_large })
        };
        let without = |&(words, is_too_large): &(&str, bool)| {
            text.contains(words).then_some(Self { bytes: None, is_too_large })
        };
        WITH_BYTES.iter().find_map(of_bytes).or_else(|| WITHOUT_BYTES.iter().find_map(without))
    }

    /// The same, or the one [noted](Self::note) on another thread that led to what the text says; that explains one failure, not later ones.
    pub fn behind(text: &str) -> Option<Self> {
        let is_consequence = CONSEQUENCES.iter().any(|words| text.contains(words));
        Self::in_text(text).or_else(|| if is_consequence { noted().take() } else { None })
    }

    /// The shortage behind a panic.
    pub fn of_panic(payload: &(dyn Any + Send)) -> Option<Self> {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let found = text.and_then(Self::behind);
        if found.is_some() {
            // A panic that says it itself was noted too, and is told now.
            noted().take();
        }
        found
    }

    /// Notes a panic's text if it is about a shortage, and says whether it is. For the process's panic hook: of the panic on a device's thread nobody else hears.
    pub fn note(text: &str) -> bool {
        let found = Self::in_text(text);
        if found.is_some() {
            *noted() = found;
        }
        found.is_some()
    }
}

/// The last one noted.
fn noted() -> MutexGuard<'static, Option<Shortage>> {
    static NOTED: Mutex<Option<Shortage>> = Mutex::new(None);
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `out of memory`, and of what, if it is known.
impl fmt::Display for Shortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = self.bytes.map_or_else(
            || "a tensor".to_owned(),
            |bytes| match bytes {
                ..1_000_000 => format!("a tensor of `{bytes} bytes`"),
                1_000_000..1_000_000_000 => format!("a tensor of `{:.1} MB`", bytes as f64 / 1e6),
                _ => format!("a tensor of `{:.1} GB`", bytes as f64 / 1e9),
            },
        );
        if self.is_too_large {
            write!(formatter, "out of memory: {tensor} is more than it holds in one piece")
        } else {
            write!(formatter, "out of memory: it has no room for {tensor}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        Shortage::in_text(text).map(|shortage| shortage.to_string())
    }

    /// As CubeCL 0.11.3, wgpu 30 and cudarc word them.
    #[test]
    fn what_burn_says_of_a_shortage_is_recognised() {
        let read = "The bytes were never written (failure #3, still claiming 7 buffer(s))\nCaused by:\n  An IO error happened\nCaused by:\n  \
                    can't allocate buffer of size: 4294967296\ndisabled backtrace\nAsked at:\ndisabled backtrace";
        let too_large = "out of memory: a tensor of `4.3 GB` is more than it holds in one piece";
        assert_eq!(told(read).as_deref(), Some(too_large));
        let full =
            "An IO error happened\nCaused by:\n  out of device memory allocating 33554432 bytes\n";
        let no_room = "out of memory: it has no room for a tensor of `33.6 MB`";
        assert_eq!(told(full).as_deref(), Some(no_room));
        for (text, expected) in [
            ("wgpu error: Out of Memory", "out of memory: it has no room for a tensor"),
            (
                "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
                "out of memory: it has no room for a tensor",
            ),
            (
                "Buffer binding 2 range 300 exceeds `max_*_buffer_binding_size` limit 200",
                "out of memory: a tensor is more than it holds in one piece",
            ),
        ] {
            assert_eq!(told(text).as_deref(), Some(expected));
        }
        let wgpu = "wgpu error: Validation Error\n\nCaused by:\n  Buffer size 5000 is greater than the maximum buffer size (4000)";
        assert!(told(wgpu).is_some_and(|told| told.contains("`5000 bytes`")), "{:?}", told(wgpu));
        for other in ["index out of bounds", "the device was lost", "Buffer size unknown", ""] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    /// The note is the process's: no other test of this binary may note one.
    #[test]
    fn a_panic_elsewhere_explains_what_was_torn_down() {
        let torn_down =
            "The work writing this buffer was torn down before it could say what went wrong";
        assert!(!Shortage::note(torn_down));
        assert_eq!(Shortage::behind(torn_down), None);
        assert!(Shortage::note("wgpu error: Out of Memory"));
        let expected = Some(Shortage { bytes: None, is_too_large: false });
        assert_eq!(Shortage::behind(torn_down), expected);
        let panic = |text: &'static str| Shortage::of_panic(&text as &(dyn Any + Send));
        assert_eq!(panic(torn_down), None, "it was told");
        assert!(Shortage::note("wgpu error: Out of Memory"));
        // A fault of ours stays one.
        assert_eq!(panic("index out of bounds"), None);
        assert_eq!(panic(torn_down), expected);
        let out_of_memory = "wgpu error: Out of Memory";
        assert!(Shortage::note(out_of_memory));
        assert_eq!(panic(out_of_memory), expected);
        assert_eq!(panic(torn_down), None, "it was told by the panic itself");
    }
}
