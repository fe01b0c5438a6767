//! `GET /`: the page for people, which asks the routes beside it. Its files lie in `page/`, and it loads nothing else.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Response, header},
    routing::get,
};

use crate::app::App;

/// Path, type and text of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("../page/page.css")),
    ("/icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("/page.js", SCRIPT, include_str!("../page/page.js")),
    ("/requests.js", SCRIPT, include_str!("../page/requests.js")),
    ("/tasks.js", SCRIPT, include_str!("../page/tasks.js")),
    ("/views.js", SCRIPT, include_str!("../page/views.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may load: what comes from this server.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(path, ..)| *path)
}

pub(super) fn with_files(router: Router<Arc<App>>) -> Router<Arc<App>> {
    FILES.iter().fold(router, |router, &(path, content_type, text)| {
        router.route(path, get(move || async move { file(content_type, text) }))
    })
}

fn file(content_type: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
