//! From an error to an exit code and a message on stderr.

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use burn::{backend::ExecutionError, tensor::TensorReadError};
use nystromformer::ModelError;
use nystromformer_data::{DataError, ErrorKind};
use nystromformer_interop::InteropError;
use nystromformer_learner::{LearnerError, out_of_memory::Shortage};
use nystromformer_pipelines::PipelineError;
use nystromformer_report::ReportError;
use nystromformer_tables::TableError;

/// A device without room for a tensor, of which Burn told by a panic.
#[derive(Debug)]
pub struct OutOfMemory(pub Shortage);

impl std::error::Error for OutOfMemory {}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the device is {}", self.0)
    }
}

/// Runs `command`, and gives a panic of Burn's about a device without room as an error. Another panic goes on.
pub fn or_out_of_memory<T>(command: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|panic| {
        match Shortage::of_panic(panic.as_ref()) {
            Some(shortage) => Err(OutOfMemory(shortage).into()),
            None => resume_unwind(panic),
        }
    })
}

/// The process exit code for `error`.
///
/// 0 ok (a broken pipe is one) · 2 usage or config · 3 data · 4 checkpoint or model file · 5 numeric · 6 device or
/// memory · 7 disk or I/O · 8 device self-check · 75 and 130 stopped by a signal.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<LearnerError>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<PipelineError>()
            && let Some(code) = code_of_pipeline(error, false)
        {
            return code;
        }
        if let Some(error) = cause.downcast_ref::<DataError>() {
            return match error.kind() {
                ErrorKind::Config => 2,
                ErrorKind::Data => 3,
                ErrorKind::Io => 7,
            };
        }
        if let Some(error) = cause.downcast_ref::<InteropError>() {
            return match error {
                InteropError::Hub { failure, .. } => failure.exit_code(),
                InteropError::Write { .. } => 7,
                InteropError::OutputExists { .. }
                | InteropError::Override { .. }
                | InteropError::NoAuthorsForm { .. }
                | InteropError::BeyondStorage { .. } => 2,
                _ => 4,
            };
        }
        if let Some(error) = cause.downcast_ref::<ReportError>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<TableError>() {
            return error.exit_code();
        }
        if cause.is::<ModelError>() {
            return 2;
        }
        if is_of_device(cause) || cause.is::<OutOfMemory>() {
            return 6;
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 7 };
        }
    }
    2
}

/// The exit code of a pipeline's error, unless its cause will say; `in_file` if it is about a line of the input.
fn code_of_pipeline(error: &PipelineError, in_file: bool) -> Option<u8> {
    match error {
        // Its source is boxed, which hides it from the chain of causes.
        PipelineError::At { source, .. } => {
            let error: &PipelineError = source;
            code_of_pipeline(error, true)
        }
        // Here a tokenizer is a part of the model.
        PipelineError::Tokenizer { .. }
        | PipelineError::Vocabulary { .. }
        | PipelineError::TokenType { .. } => Some(4),
        PipelineError::Device(_) => Some(6),
        PipelineError::Request(_) => Some(3),
        PipelineError::NoMask { .. } | PipelineError::TooLongToFill { .. } if in_file => Some(3),
        PipelineError::Data(error) if in_file => Some(match error.kind() {
            ErrorKind::Io => 7,
            ErrorKind::Config | ErrorKind::Data => 3,
        }),
        _ => None,
    }
}

/// Whether it is Burn's error of a device that failed at what it was asked for.
fn is_of_device(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<ExecutionError>()
        || matches!(cause.downcast_ref(), Some(TensorReadError::Execution(_)))
}

/// What to tell the user: [`message`], or of a device without room for a tensor that, and with it `advice` what to lower.
pub fn told(error: &anyhow::Error, advice: &str) -> String {
    let of_device = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(OutOfMemory(shortage)) => Some(*shortage),
        None if is_of_device(cause) => Shortage::behind(&cause.to_string()),
        None => None,
    };
    match error.chain().find_map(of_device) {
        Some(shortage) => format!("{}; {advice}", OutOfMemory(shortage)),
        None => message(error),
    }
}

/// What to tell the user: the error and its causes, each once. An error of ours often quotes its cause.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use nystromformer_pipelines::Place;

    use super::*;

    #[test]
    fn a_cause_that_is_quoted_is_not_told_twice() {
        let source = || io::Error::from(io::ErrorKind::StorageFull);
        let path = std::path::PathBuf::from("runs/a");
        let quoting = InteropError::Write { path: path.clone(), source: source() };
        let told = message(&anyhow::Error::from(quoting));
        assert_eq!(told.matches("storage").count(), 1, "{told}");
        let silent = DataError::Io { action: "write", path, source: source() };
        let told = message(&anyhow::Error::from(silent).context("while preparing"));
        assert!(told.starts_with("while preparing: cannot write `runs/a`: "), "{told}");
        assert_eq!(told.matches("storage").count(), 1, "{told}");
    }

    #[test]
    fn a_panic_about_memory_is_an_error_with_exit_code_six_and_another_goes_on() {
        let panicked = |text: &'static str| {
            catch_unwind(|| {
                or_out_of_memory::<()>(|| panic!("{text}")).map_err(|error| exit_code(&error))
            })
        };
        assert_eq!(panicked("wgpu error: Out of Memory").unwrap(), Err(6));
        assert!(panicked("index out of bounds").is_err());
        assert!(or_out_of_memory(|| Ok(3)).is_ok_and(|found| found == 3));
    }

    #[test]
    fn a_device_without_room_exits_with_six_and_says_what_to_lower() {
        let reason = "The bytes were never written\nCaused by:\n  can't allocate buffer of size: 5000000000\nbacktrace".to_owned();
        let read = || ExecutionError::WithContext { reason: reason.clone() };
        let expected = "the device is out of memory: a tensor of `5.0 GB` is more than it holds in one piece; lower it";
        let shortage = Shortage { bytes: Some(5_000_000_000), is_too_large: true };
        for error in [
            anyhow::Error::from(read()).context("while timing"),
            anyhow::Error::from(TensorReadError::from(read())),
            anyhow::Error::from(PipelineError::Device(read().into())),
            anyhow::Error::from(OutOfMemory(shortage)),
        ] {
            assert_eq!(exit_code(&error), 6);
            assert_eq!(told(&error, "lower it"), expected);
        }
        let other = ExecutionError::WithContext { reason: "the device was lost".to_owned() };
        let other = anyhow::Error::from(other);
        assert_eq!(exit_code(&other), 6);
        assert_eq!(told(&other, "lower it"), message(&other));
    }

    #[test]
    fn codes_follow_the_cause_through_context() {
        let model = ModelError::EmptyInput { shape: [0, 3] };
        assert_eq!(exit_code(&anyhow::Error::from(model).context("while predicting")), 2);
        let path = std::path::PathBuf::from("runs/exported");
        let in_use = InteropError::OutputExists { path: path.clone() };
        assert_eq!(exit_code(&anyhow::Error::from(in_use)), 2);
        let missing = InteropError::Missing { path: path.clone(), expected: "weights".to_owned() };
        assert_eq!(exit_code(&anyhow::Error::from(missing)), 4);
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let unwritable = InteropError::Write { path, source };
        assert_eq!(exit_code(&anyhow::Error::from(unwritable)), 7);
        let differs = LearnerError::SelfCheck {
            device: "wgpu".to_owned(),
            quantity: "logits".to_owned(),
            difference: 0.1,
            tolerance: 0.005,
        };
        assert_eq!(exit_code(&anyhow::Error::from(differs).context("before training")), 8);
        let beyond = || PipelineError::Vocabulary { id: 9, token: "a".to_owned(), vocab_size: 5 };
        let no_mask =
            || PipelineError::NoMask { text: "a".to_owned(), mask_token: "[MASK]".to_owned() };
        let place = || Place { file: std::path::Path::new("texts.jsonl").into(), line: 3 };
        let at = |error| PipelineError::At { place: place(), source: Box::new(error) };
        for (error, code) in [(beyond(), 4), (at(beyond()), 4), (no_mask(), 2), (at(no_mask()), 3)]
        {
            assert_eq!(exit_code(&anyhow::Error::from(error)), code);
        }
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(exit_code(&anyhow::Error::from(pipe)), 0);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(exit_code(&anyhow::Error::from(full)), 7);
    }
}
