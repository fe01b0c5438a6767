//! One request: where it goes, what it carries, how often it is tried.
//!
//! Redirects are followed here, so that the token goes to the Hub's own origin and to no other.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Take},
    path::Path,
    thread,
    time::Duration,
};

use serde::de::DeserializeOwned;
use ureq::{
    Agent, AsSendBody, Body, Error, SendBody, Timeout,
    config::Config,
    http::{self, Method, Request, Response, StatusCode, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{
    error::{HubError, Result, brief},
    settings::Settings,
    token::Token,
};

/// Tries of a request, the first among them.
pub(crate) const TRIES: u32 = 5;

/// Redirects of one request.
const MAX_REDIRECTS: usize = 10;

/// Largest answer that is read into memory: a list of the files of a repository.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// How long to look for the server and to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// What goes to the Hub's servers, and how.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    endpoint: String,
    origin: Origin,
    token: Option<Token>,
    pause: Duration,
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Part(FilePart<'a>),
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilePart<'a> {
    pub(crate) path: &'a Path,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl FilePart<'_> {
    fn open(self) -> io::Result<Take<File>> {
        let mut file = File::open(self.path)?;
        file.seek(SeekFrom::Start(self.start))?;
        Ok(file.take(self.length))
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    method: Method,
    url: String,
    headers: Vec<(&'a str, &'a str)>,
    content: Content<'a>,
    /// Whether a redirect to another origin is an answer.
    stays: bool,
    /// Whether it may be made again if it is not known what became of it.
    repeats: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url.into(), Content::Nothing)
    }

    /// Asks for the headers alone. A redirect to another origin is an answer.
    pub(crate) fn head(url: impl Into<String>) -> Self {
        Self { stays: true, ..Self::new(Method::HEAD, url.into(), Content::Nothing) }
    }

    pub(crate) fn post(url: impl Into<String>, content: &'a [u8]) -> Self {
        Self::new(Method::POST, url.into(), Content::Bytes(content))
    }

    pub(crate) fn put(url: impl Into<String>, part: FilePart<'a>) -> Self {
        Self::new(Method::PUT, url.into(), Content::Part(part))
    }

    fn new(method: Method, url: String, content: Content<'a>) -> Self {
        Self { method, url, headers: Vec::new(), content, stays: false, repeats: true }
    }

    pub(crate) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn json(self) -> Self {
        self.header("content-type", "application/json")
    }

    /// The same, made once: a second would do its work twice.
    pub(crate) fn once(self) -> Self {
        Self { repeats: false, ..self }
    }
}

/// Why there is no answer.
enum Failure {
    /// Another try may bring one.
    Broken(String),
    Final(HubError),
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let endpoint = settings.endpoint.trim_end_matches('/').to_owned();
        let url = endpoint.parse::<Uri>().ok();
        let Some(origin) = url.as_ref().and_then(Origin::of) else {
            return Err(HubError::Usage(format!(
                "`HF_ENDPOINT` = `{}` is no address: write it as `https://huggingface.co`",
                brief(&endpoint)
            )));
        };
        let mut config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("nystromformer/", env!("CARGO_PKG_VERSION")))
            // Sizes and ranges are to be those of the files.
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(settings.patience))
            .timeout_per_write(Some(settings.patience));
        if !settings.proxies {
            config = config.proxy(None);
        }
        if let Some(file) = &settings.certificates {
            config = config.tls_config(TlsConfig::builder().root_certs(roots(file)?).build());
        }
        let agent = Agent::new_with_config(config.build());
        Ok(Self { agent, endpoint, origin, token: settings.token, pause: settings.pause })
    }

    /// Address of the Hub, without a `/` at its end.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// How long to wait before the second try.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// The answer, whatever it is: a refusal is one. A server that has an error, and a connection that breaks, are asked again, a
    /// few times, after pauses that grow.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<Response<Body>> {
        let mut pause = self.pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let problem = match self.follow(call) {
                Ok(answer) if answer.status().is_server_error() => {
                    format!("answers with its error `{}`", answer.status().as_u16())
                }
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Broken(problem)) => format!("cannot be heard ({problem})"),
            };
            if tries == TRIES || !call.repeats {
                let host = host(&call.url);
                let times = if tries > 1 { format!(", {tries} times") } else { String::new() };
                return Err(HubError::Unreachable(format!(
                    "`{host}` {problem}{times}; try again later"
                )));
            }
            thread::sleep(pause);
            pause *= 2;
        }
    }

    /// One try, from address to address.
    fn follow(&self, call: &Call<'_>) -> Result<Response<Body>, Failure> {
        let malformed =
            || HubError::Damaged(format!("`{}` is no address", brief(&host(&call.url))));
        let mut url: Uri = call.url.parse().map_err(|_| Failure::Final(malformed()))?;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(call, &url)?;
            let Some(next) = redirect(&answer, &url, &call.method) else { return Ok(answer) };
            let (here, there) = (Origin::of(&url), Origin::of(&next));
            if call.stays && here != there {
                return Ok(answer);
            }
            if here.is_some_and(|here| here.is_secure())
                && !there.as_ref().is_some_and(Origin::is_secure)
            {
                return Err(Failure::Final(HubError::Refused(format!(
                    "`{}` leads to `{}`, an address without encryption, and is not followed",
                    host(&url.to_string()),
                    host(&next.to_string())
                ))));
            }
            url = next;
        }
        Err(Failure::Final(HubError::Refused(format!(
            "`{}` leads from address to address, over more than {MAX_REDIRECTS}",
            host(&call.url)
        ))))
    }

    /// One request to one address.
    fn once(&self, call: &Call<'_>, url: &Uri) -> Result<Response<Body>, Failure> {
        let mut request = Request::builder().method(&call.method).uri(url);
        for (name, value) in &call.headers {
            request = request.header(*name, *value);
        }
        let is_hub = Origin::of(url).as_ref() == Some(&self.origin);
        if let Some(token) = self.token.as_ref().and_then(Token::header).filter(|_| is_hub) {
            request = request.header(header::AUTHORIZATION, token);
        }
        match call.content {
            Content::Nothing => self.run(request.body(()), url),
            Content::Bytes(bytes) => self.run(request.body(bytes), url),
            Content::Part(part) => {
                let mut bytes = part
                    .open()
                    .map_err(|error| Failure::Final(HubError::disk("read", part.path)(error)))?;
                let request = request.header(header::CONTENT_LENGTH, part.length);
                self.run(request.body(SendBody::from_reader(&mut bytes)), url)
            }
        }
    }

    fn run(
        &self,
        request: Result<Request<impl AsSendBody>, http::Error>,
        url: &Uri,
    ) -> Result<Response<Body>, Failure> {
        let answer = request.map_err(Error::from).and_then(|request| self.agent.run(request));
        answer.map_err(|error| failure(error, url))
    }
}

/// An answer's JSON.
pub(crate) fn read_json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T> {
    let limited = answer.into_body().into_with_config().limit(MAX_ANSWER_BYTES);
    let bytes = limited
        .read_to_vec()
        .map_err(|error| HubError::Unreachable(format!("the answer breaks off: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        HubError::Damaged(format!("the answer is not one of a Hub ({error}); check `HF_ENDPOINT`"))
    })
}

/// A header of an answer as text.
pub(crate) fn header_of<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// Where an answer says to look instead, if a request of this kind may.
fn redirect(answer: &Response<Body>, url: &Uri, method: &Method) -> Option<Uri> {
    let follows = match answer.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            method == Method::GET || method == Method::HEAD
        }
        _ => false,
    };
    let location = header_of(answer, "location").filter(|_| follows)?;
    let (scheme, authority) = (url.scheme_str()?, url.authority()?);
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        location.to_owned()
    };
    absolute.parse().ok().filter(|next| Origin::of(next).is_some())
}

/// What may see the same secrets: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// `None` for what is no address of the web.
    fn of(url: &Uri) -> Option<Self> {
        let scheme = url.scheme_str()?.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = url.host()?.to_ascii_lowercase();
        Some(Self { scheme, host, port: url.port_u16().unwrap_or(default) })
    }

    fn is_secure(&self) -> bool {
        self.scheme == "https"
    }
}

/// The host of an address: the rest of one that was signed is a secret.
fn host(url: &str) -> String {
    let url = url.parse::<Uri>().ok();
    url.as_ref().and_then(Uri::host).unwrap_or("the address").to_owned()
}

/// Root certificates of a file.
fn roots(file: &Path) -> Result<RootCerts> {
    let pem = fs::read(file).map_err(HubError::disk("read the certificates in", file))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(HubError::Usage(format!(
            "`{}` holds no certificate in PEM: check `REQUESTS_CA_BUNDLE` and `SSL_CERT_FILE`",
            file.display()
        )));
    }
    Ok(RootCerts::from(certificates))
}

/// Whether another try may help, and what to say if not.
fn failure(error: Error, url: &Uri) -> Failure {
    let is_broken = match &error {
        Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::UnexpectedEof
                | ErrorKind::BrokenPipe
                | ErrorKind::TimedOut
                | ErrorKind::WouldBlock
                | ErrorKind::Interrupted
        ),
        Error::Timeout(timeout) => !matches!(timeout, Timeout::Resolve | Timeout::Connect),
        Error::Protocol(_) | Error::BodyStalled => true,
        _ => false,
    };
    if is_broken {
        return Failure::Broken(error.to_string());
    }
    Failure::Final(HubError::Unreachable(format!(
        "cannot reach `{}`: {error}; check the connection and the proxy (`HTTPS_PROXY`), or set `HF_HUB_OFFLINE=1` to use what \
         is in the cache",
        host(&url.to_string())
    )))
}

/// Text as a part of an address.
pub(crate) fn quoted(text: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // A String takes everything.
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |url: &str| Origin::of(&url.parse().unwrap());
        assert_eq!(of("https://Huggingface.co/a"), of("https://huggingface.co:443/b?c"));
        for other in [
            "http://huggingface.co/a",
            "https://huggingface.co:8443/a",
            "https://huggingface.co.example.org/a",
            "https://cdn.huggingface.co/a",
        ] {
            assert_ne!(of("https://huggingface.co/a"), of(other), "{other}");
        }
        // The host is what stands after `@`.
        assert_ne!(of("https://huggingface.co/a"), of("https://huggingface.co@example.org/a"));
        assert_eq!(of("ftp://huggingface.co/a"), None);
    }

    #[test]
    fn parts_of_an_address_are_quoted() {
        assert_eq!(quoted("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(quoted("a b?ü.json"), "a%20b%3F%C3%BC.json");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |endpoint: &str, certificates: Option<PathBuf>| Settings {
            endpoint: endpoint.to_owned(),
            cache: folder.path().to_owned(),
            token: None,
            offline: false,
            patience: CONNECT,
            pause: Duration::ZERO,
            certificates,
            proxies: false,
        };
        for endpoint in ["", "huggingface.co", "ftp://huggingface.co", "https://"] {
            let error = Client::new(settings(endpoint, None)).unwrap_err();
            assert!(error.to_string().contains("`HF_ENDPOINT`"), "{error}");
        }
        let endpoint = "https://huggingface.co/";
        assert_eq!(
            Client::new(settings(endpoint, None)).unwrap().endpoint(),
            "https://huggingface.co"
        );
        let roots = folder.path().join("roots.pem");
        assert!(matches!(
            Client::new(settings(endpoint, Some(roots.clone()))),
            Err(HubError::Disk { .. })
        ));
        fs::write(&roots, "nothing").unwrap();
        let error = Client::new(settings(endpoint, Some(roots))).unwrap_err();
        assert!(error.to_string().contains("`SSL_CERT_FILE`"), "{error}");
    }
}
