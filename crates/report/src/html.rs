//! Markup that is made of our own words alone: whatever else is written is escaped.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use serde::Serialize;

/// Attributes of an element. Names are ours, values are escaped.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// Characters of a text from data that are shown where nothing else is said.
pub(crate) const MOST_CHARACTERS: usize = 400;

/// A page or a part of one.
///
/// Names of elements and attributes are `&'static str`, words of this program; every text and every value of an attribute is
/// escaped; elements are closed where they were opened. So no text from data becomes markup, and the page is well formed.
#[derive(Debug, Default)]
pub(crate) struct Html {
    markup: String,
}

impl Html {
    /// An element with something in it.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        self.markup.push('>');
        content(self);
        self.markup.push_str("</");
        self.markup.push_str(name);
        self.markup.push('>');
    }

    /// An element with nothing but a text of ours, or a number, in it.
    pub(crate) fn leaf(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element that has nothing in it.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.open(name, attributes);
        self.markup.push_str("/>");
    }

    fn open(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.markup.push('<');
        self.markup.push_str(name);
        for (attribute, value) in attributes {
            self.markup.push(' ');
            self.markup.push_str(attribute);
            self.markup.push_str("=\"");
            self.text(value);
            self.markup.push('"');
        }
    }

    /// A text, escaped.
    pub(crate) fn text(&mut self, text: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(Escaped(&mut self.markup), "{text}");
    }

    /// Words of ours, with what stands between backticks as code.
    pub(crate) fn prose(&mut self, words: &str) {
        for (number, part) in words.split('`').enumerate() {
            if number % 2 == 0 {
                self.text(part);
            } else {
                self.leaf("code", &[], part);
            }
        }
    }

    /// A text that somebody else wrote: at most [`MOST_CHARACTERS`] of it, and kept to itself, so that a text from right to left
    /// does not turn round what stands beside it.
    pub(crate) fn quote(&mut self, text: &str) {
        self.quote_most(text, MOST_CHARACTERS);
    }

    /// The same, at most `most` characters of it.
    pub(crate) fn quote_most(&mut self, text: &str, most: usize) {
        self.element("bdi", &[], |html| html.text(shortened(text, most)));
    }

    /// Markup that is ours from end to end: a style, a script, the head of a page.
    pub(crate) fn fixed(&mut self, markup: &'static str) {
        self.markup.push_str(markup);
    }

    /// Numbers and texts for a script to read.
    pub(crate) fn data(&mut self, data: &impl Serialize) {
        // Numbers, texts and lists always are JSON. Within a script only `<` could end it.
        let json = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        self.markup.push_str("<script type=\"application/json\">");
        self.markup.push_str(&json.replace('<', "\\u003c"));
        self.markup.push_str("</script>");
    }

    /// Adds what was written apart.
    pub(crate) fn append(&mut self, other: Self) {
        self.markup.push_str(&other.markup);
    }

    /// The page.
    pub(crate) fn into_string(self) -> String {
        self.markup
    }
}

/// A text, or its beginning and how long all of it is.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len())),
    }
}

/// Writes text so that it is neither markup nor the end of an attribute.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // No character of a page, by the HTML standard, or one that shows nothing.
                other if other.is_control() || is_no_character(other) => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// Whether Unicode keeps this code for no character ever.
fn is_no_character(character: char) -> bool {
    let code = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        write(&mut html);
        html.into_string()
    }

    #[test]
    fn texts_and_values_are_never_markup() {
        let hostile = "</p><script>alert('\"&')</script>";
        let page =
            written(|html| html.element("p", &[("title", &hostile)], |html| html.quote(hostile)));
        let escaped = "&lt;/p&gt;&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;";
        assert_eq!(page, format!("<p title=\"{escaped}\"><bdi>{escaped}</bdi></p>"));
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        let page = written(|html| html.prose("see `a<b>` and `c`."));
        assert_eq!(page, "see <code>a&lt;b&gt;</code> and <code>c</code>.");
    }

    #[test]
    fn data_for_scripts_does_not_end_the_script() {
        let page = written(|html| html.data(&["</script><!--", "\u{2028}"]));
        assert_eq!(page.matches('<').count(), 2, "{page}");
        assert!(page.contains("\\u003c/script>\\u003c!--"), "{page}");
    }

    #[test]
    fn what_is_no_character_of_a_page_is_shown_as_one_that_is_missing() {
        let page = written(|html| html.text("a\0b\u{7f}c\u{85}d\u{ffff}e\tf\ng\u{1b}[31m"));
        let gone = '\u{fffd}';
        assert_eq!(page, format!("a{gone}b{gone}c{gone}d{gone}e\tf\ng{gone}[31m"));
    }

    #[test]
    fn long_texts_are_cut_at_a_character_and_texts_keep_to_themselves() {
        let long = "é".repeat(500_000);
        let page = written(|html| html.quote(&long));
        assert!(page.len() < 1000 && page.contains("… (1000000 bytes)"), "{page}");
        // An override that is never taken back ends with the element that isolates it.
        let turned = written(|html| html.quote("\u{202e}abc שלום"));
        assert_eq!(turned, "<bdi>\u{202e}abc שלום</bdi>");
    }
}
