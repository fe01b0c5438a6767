//! Lists and objects that are written as text, as CSV files have them: `"['toxic', 'insult']"`.

/// Whether a text is what Python or JSON writes for a list or an object of texts or of several numbers, or for an empty one. A name in
/// brackets is none: `[URGENT]`, an interval (`[18-25]`), one number (`[2024]`).
pub(super) fn is_written_list(text: &str) -> bool {
    let text = text.trim();
    let between = |open, close| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let is_quoted = |inner: &str| inner.starts_with(['\'', '"']);
    match (between('[', ']'), between('{', '}')) {
        (Some(inner), _) => {
            let first = inner.trim_start_matches(|character: char| {
                matches!(character, '[' | '{') || character.is_whitespace()
            });
            inner.is_empty() || is_quoted(first) || are_numbers(inner)
        }
        (_, Some(inner)) => inner.is_empty() || is_quoted(inner),
        (None, None) => false,
    }
}

/// Whether a text is several numbers, in lists of their own or not.
fn are_numbers(text: &str) -> bool {
    let separates =
        |character: char| matches!(character, ',' | '[' | ']') || character.is_whitespace();
    let is_number = |part: &str| {
        part.contains(|character: char| character.is_ascii_digit()) && part.parse::<f64>().is_ok()
    };
    let parts: Vec<&str> = text.split(separates).filter(|part| !part.is_empty()).collect();
    parts.len() > 1 && parts.into_iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_texts_and_numbers_are_told_from_names_in_brackets() {
        for list in [
            "['toxic', 'insult']",
            " [\"a\"] ",
            "['a' 'b']",
            "[]",
            "{}",
            "[0, 2]",
            "[1. 0.5 -2e3]",
            "[['a'], ['b']]",
            "[{'text': 'a'}]",
            "[[0, 2], [1]]",
            "[0 1\n 2]",
            "{'text': ['paris'], 'answer_start': [14]}",
            "{\"text\": \"paris\"}",
        ] {
            assert!(is_written_list(list), "{list}");
        }
        let names = [
            "",
            "[",
            "]",
            "[URGENT]",
            "{x}",
            "a [0]",
            "[0] b",
            "['a'",
            "'a'",
            "[e]",
            "[-]",
            "0, 2",
            "[18-25]",
            "[2024]",
            "[0.5]",
            "[[1]]",
            "[18 to 25]",
            "[0]",
        ];
        for name in names {
            assert!(!is_written_list(name), "{name}");
        }
    }
}
