//! `--set SECTION.KEY=VALUE`, for commands that look at what is set.

/// The key of an assignment, and its value.
pub(crate) fn key_and_value(assignment: &str) -> (&str, &str) {
    let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
    (key.trim(), value.trim())
}
