//! The frame of a page: one file that loads nothing, light and dark, for screens of any size and for paper.

use crate::html::Html;
use crate::section::{Section, write_all};

/// A page about `subject`.
pub(crate) fn page<S: ?Sized>(
    title: &str,
    introduction: impl FnOnce(&mut Html),
    sections: &[Section<S>],
    subject: &S,
) -> String {
    frame(title, |html| {
        introduction(html);
        html.element("nav", &[("aria-label", &"Sections")], |html| {
            for section in sections {
                html.leaf("a", &[("href", &format_args!("#{}", section.id))], section.title);
                html.text(" ");
            }
        });
        html.element("main", &[], |html| write_all(sections, subject, html));
    })
}

/// A page with this content below its title.
pub(crate) fn frame(title: &str, content: impl FnOnce(&mut Html)) -> String {
    let mut html = Html::default();
    html.fixed("<!doctype html>\n");
    html.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], |html| {
            html.fixed(
                "<meta charset=\"utf-8\"/>\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>",
            );
            html.element("title", &[], |html| html.text(shortened(title)));
            html.element("style", &[], |html| html.fixed(include_str!("page.css")));
        });
        html.element("body", &[], |html| {
            html.element("header", &[], |html| {
                html.element("h1", &[], |html| html.quote_most(title, 200));
                html.leaf(
                    "button",
                    &[("id", &"theme"), ("type", &"button"), ("hidden", &"")],
                    "Light or dark",
                );
            });
            content(html);
            html.element("footer", &[], |html| {
                html.text(concat!("Written by nystromformer ", env!("CARGO_PKG_VERSION"), "."));
            });
            html.element("script", &[], |html| html.fixed(include_str!("page.js")));
        });
    });
    html.into_string()
}

fn shortened(title: &str) -> String {
    title.chars().take(120).collect()
}
