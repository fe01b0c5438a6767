//! Which pages of other origins a browser lets ask this server: none unless told.

use axum::http::{HeaderMap, HeaderValue, Method, header};

/// The origins that may ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// These; `*` is all of them.
    pub(crate) fn new(origins: Vec<HeaderValue>) -> Self {
        Self { origins }
    }

    /// The headers that let the page of a request's origin read the answer.
    pub(crate) fn headers(&self, method: &Method, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.origins.is_empty() {
            return headers;
        }
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let any = self.origins.iter().find(|origin| *origin == "*");
        let asking = request.get(header::ORIGIN);
        let same = asking.filter(|asking| self.origins.contains(asking));
        let (Some(allowed), Some(_)) = (any.or(same), asking) else { return headers };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        if method == Method::OPTIONS {
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization"),
                (header::ACCESS_CONTROL_MAX_AGE, "600"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &[&'static str], asking: Option<&'static str>) -> Option<String> {
        let cors =
            Cors::new(origins.iter().map(|origin| HeaderValue::from_static(origin)).collect());
        let mut request = HeaderMap::new();
        if let Some(asking) = asking {
            request.insert(header::ORIGIN, HeaderValue::from_static(asking));
        }
        let headers = cors.headers(&Method::POST, &request);
        headers
            .get(header::ACCESS_CONTROL_ALLOW_ORIGIN)
            .map(|origin| origin.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_the_origins_that_were_named_are_let_in() {
        assert_eq!(allowed(&[], Some("https://a.example")), None);
        let two = ["https://a.example", "https://b.example"];
        assert_eq!(allowed(&two, Some("https://b.example")).unwrap(), "https://b.example");
        assert_eq!(allowed(&two, Some("https://c.example")), None);
        assert_eq!(allowed(&two, None), None);
        assert_eq!(allowed(&["*"], Some("https://c.example")).unwrap(), "*");
    }

    #[test]
    fn a_browser_that_asks_first_is_told_what_may_be_sent() {
        let mut request = HeaderMap::new();
        request.insert(header::ORIGIN, HeaderValue::from_static("https://a.example"));
        let cors = Cors::new(vec![HeaderValue::from_static("*")]);
        let headers = cors.headers(&Method::OPTIONS, &request);
        assert!(headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
        assert!(!cors.headers(&Method::GET, &request).contains_key(header::ACCESS_CONTROL_MAX_AGE));
    }
}
