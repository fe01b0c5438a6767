//! For tests: whether a page is well formed.

/// Elements that are never closed.
const VOID: [&str; 3] = ["meta", "br", "!doctype"];

/// Asserts that every element is closed where it was opened, every attribute is quoted, and no identifier comes twice.
pub(crate) fn require_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = end_of_tag(rest).unwrap_or_else(|| panic!("a tag without an end: {rest:.60}"));
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        let name = tag.split([' ', '/', '>']).find(|part| !part.is_empty()).unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "closed out of order, within {open:?}");
            continue;
        }
        ids.extend(tag.split(" id=\"").nth(1).map(|id| id.split('"').next().unwrap_or_default()));
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if tag.ends_with('/') || VOID.contains(&name) {
            continue;
        }
        open.push(name);
        if name == "script" || name == "style" {
            // Nothing within is markup, but its own end.
            let end = rest.find("</").unwrap_or_else(|| panic!("`{name}` has no end"));
            rest = &rest[end..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an identifier comes twice");
}

/// Where a tag ends, `>` in quotes apart.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    text.char_indices().find_map(|(place, character)| {
        is_quoted ^= character == '"';
        (character == '>' && !is_quoted).then_some(place)
    })
}

/// Whether a page names nothing to load: links lead to the page itself.
pub(crate) fn loads_nothing(page: &str) -> bool {
    let links = page.matches("href=\"").count() == page.matches("href=\"#").count();
    let names =
        ["http:", "https:", "//cdn", " src=", "@import", "url(", "<link", "<iframe", "<object"];
    links && !names.iter().any(|name| page.contains(name))
}
