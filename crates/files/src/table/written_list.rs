//! Lists and objects that are written as text, as CSV files have them: `"['toxic', 'insult']"`.

/// Whether a text is what Python or JSON writes for a list or an object of texts or numbers, or for an empty one. A name in brackets,
/// `[URGENT]`, is none.
pub(super) fn is_written_list(text: &str) -> bool {
    let text = text.trim();
    let between = |open, close| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let is_quoted = |inner: &str| inner.starts_with(['\'', '"']);
    let holds_others = |inner: &str| inner.starts_with(['[', '{']) && is_written_list(inner);
    let is_number = |part: &str| {
        part.contains(|character: char| character.is_ascii_digit()) && part.parse::<f64>().is_ok()
    };
    // An interval, `[18-25]`, is none of numbers.
    let are_numbers =
        |inner: &str| inner.split([',', ' ']).all(|part| part.is_empty() || is_number(part));
    match (between('[', ']'), between('{', '}')) {
        (Some(inner), _) => {
            inner.is_empty() || is_quoted(inner) || holds_others(inner) || are_numbers(inner)
        }
        (_, Some(inner)) => inner.is_empty() || is_quoted(inner),
        (None, None) => false,
    }
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
            "{'text': ['paris'], 'answer_start': [14]}",
            "{\"text\": \"paris\"}",
        ] {
            assert!(is_written_list(list), "{list}");
        }
        let names = [
            "", "[", "]", "[URGENT]", "{x}", "a [0]", "[0] b", "['a'", "'a'", "[e]", "[-]", "0, 2",
            "[18-25]",
        ];
        for name in names {
            assert!(!is_written_list(name), "{name}");
        }
    }
}
