//! [`setting`]: how messages write the value of a key.

/// `task.quotes = "none"`, as a config has it, and `--quotes none`, as a command has it.
pub(crate) fn setting(key: &str, value: &str) -> String {
    if key.starts_with("--") {
        format!("`{key} {value}`")
    } else {
        format!("`{key} = \"{value}\"`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_its_key_takes_it() {
        assert_eq!(setting("task.quotes", "none"), "`task.quotes = \"none\"`");
        assert_eq!(setting("--quotes", "none"), "`--quotes none`");
    }
}
