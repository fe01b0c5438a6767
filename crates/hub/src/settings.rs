//! What the environment says, in the variables of Hugging Face's own tools.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{HubError, Result},
    token::Token,
};

/// Where the Hub is, where its files are kept, and who asks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the Hub, `HF_ENDPOINT`. Default: `https://huggingface.co`.
    pub endpoint: String,
    /// The folder of the cache, `HF_HUB_CACHE`. Default: `hub` in `HF_HOME`, which by default is `~/.cache/huggingface`.
    pub cache: PathBuf,
    /// `HF_TOKEN`, or else the content of the file `HF_TOKEN_PATH`, by default `token` in `HF_HOME`.
    pub token: Option<Token>,
    /// Whether only the cache is read, `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// How long a connection may bring nothing, `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds. Default: 30.
    pub patience: Duration,
    /// How long to wait before the second try of a request; twice as long before each further one. Default: half a second.
    pub pause: Duration,
    /// A file of root certificates in PEM, in the place of Mozilla's: `REQUESTS_CA_BUNDLE` or `SSL_CERT_FILE`.
    pub certificates: Option<PathBuf>,
    /// Whether proxies are used: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`. Default: yes.
    pub proxies: bool,
}

impl Settings {
    /// What the environment of this process says.
    ///
    /// # Errors
    /// [`HubError::Usage`] if there is no folder for a cache, or a token is malformed; [`HubError::Disk`] if the file of the
    /// token cannot be read.
    pub fn from_environment() -> Result<Self> {
        Self::of(|name| env::var(name).ok(), env::home_dir())
    }

    /// What these variables say, for a user with this folder.
    fn of(variable: impl Fn(&str) -> Option<String>, home: Option<PathBuf>) -> Result<Self> {
        let stated = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| Some(with_home(&stated(name)?, home.as_deref()));
        let caches = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")));
        let own = path("HF_HOME").or_else(|| Some(caches?.join("huggingface")));
        let in_own = |name: &str| own.as_ref().map(|own| own.join(name));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| in_own("hub"))
            .ok_or_else(|| {
                HubError::Usage(
                    "there is no home folder to keep downloads in: set `HF_HUB_CACHE`".to_owned(),
                )
            })?;
        let token = match stated("HF_TOKEN").or_else(|| stated("HUGGING_FACE_HUB_TOKEN")) {
            Some(text) => Some(text),
            None => match path("HF_TOKEN_PATH").or_else(|| in_own("token")) {
                Some(file) => content(&file)?,
                None => None,
            },
        };
        let is_set = |name: &str| {
            stated(name).is_some_and(|value| {
                ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
            })
        };
        let patience = stated("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.parse().ok());
        Ok(Self {
            endpoint: stated("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache,
            token: token.as_deref().map(Token::of).transpose()?.flatten(),
            offline: is_set("HF_HUB_OFFLINE") || is_set("TRANSFORMERS_OFFLINE"),
            patience: Duration::from_secs(patience.unwrap_or(30).max(1)),
            pause: Duration::from_millis(500),
            certificates: path("REQUESTS_CA_BUNDLE").or_else(|| path("SSL_CERT_FILE")),
            proxies: true,
        })
    }
}

/// A path with the user's folder in the place of `~`, which a shell puts there only at the start of a word.
fn with_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// The text of a file, `None` where there is none.
fn content(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::disk("read the access token in", file)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn of(variables: &[(&str, &str)], home: Option<&Path>) -> Result<Settings> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        let variable = |name: &str| variables.get(name).map(|&value| value.to_owned());
        Settings::of(variable, home.map(Path::to_owned))
    }

    fn token(settings: &Settings) -> Option<String> {
        let header = settings.token.as_ref()?.header()?;
        Some(String::from_utf8(header.as_bytes().to_owned()).unwrap())
    }

    #[test]
    fn the_cache_is_where_hugging_faces_tools_have_it() {
        let home = Path::new("/home/a");
        for (variables, cache) in [
            (&[][..], "/home/a/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/caches")], "/caches/huggingface/hub"),
            (&[("HF_HOME", "~/hf"), ("XDG_CACHE_HOME", "/caches")], "/home/a/hf/hub"),
            (&[("HF_HUB_CACHE", "/models"), ("HF_HOME", "/hf")], "/models"),
            (&[("HF_HUB_CACHE", "")], "/home/a/.cache/huggingface/hub"),
        ] {
            assert_eq!(of(variables, Some(home)).unwrap().cache, Path::new(cache), "{variables:?}");
        }
        assert!(of(&[], None).is_err());
        assert!(of(&[("HF_HOME", "/hf")], None).is_ok());
    }

    #[test]
    fn the_token_is_that_of_the_environment_or_else_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("hf");
        fs::create_dir(&home).unwrap();
        let hf_home = ("HF_HOME", home.to_str().unwrap());
        assert_eq!(token(&of(&[hf_home], None).unwrap()), None);
        fs::write(home.join("token"), "of_file\n").unwrap();
        assert_eq!(token(&of(&[hf_home], None).unwrap()).unwrap(), "Bearer of_file");
        let other = folder.path().join("other");
        fs::write(&other, "of_other").unwrap();
        let named = ("HF_TOKEN_PATH", other.to_str().unwrap());
        assert_eq!(token(&of(&[hf_home, named], None).unwrap()).unwrap(), "Bearer of_other");
        let stated = ("HF_TOKEN", "of_variable");
        assert_eq!(
            token(&of(&[hf_home, named, stated], None).unwrap()).unwrap(),
            "Bearer of_variable"
        );
        assert!(of(&[hf_home, ("HF_TOKEN_PATH", home.to_str().unwrap())], None).is_err());
    }

    #[test]
    fn the_rest_has_defaults() {
        let settings = of(&[("HF_HOME", "/hf")], None).unwrap();
        assert_eq!(settings.endpoint, "https://huggingface.co");
        assert!(!settings.offline && settings.certificates.is_none());
        assert_eq!(settings.patience, Duration::from_secs(30));
        let stated = [
            ("HF_HOME", "/hf"),
            ("HF_ENDPOINT", "http://127.0.0.1:1"),
            ("HF_HUB_OFFLINE", "True"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
            ("SSL_CERT_FILE", "/roots.pem"),
        ];
        let settings = of(&stated, None).unwrap();
        assert_eq!(settings.endpoint, "http://127.0.0.1:1");
        assert!(
            settings.offline
                && !of(&[("HF_HOME", "/hf"), ("HF_HUB_OFFLINE", "0")], None).unwrap().offline
        );
        assert_eq!(settings.patience, Duration::from_secs(7));
        assert_eq!(settings.certificates, Some("/roots.pem".into()));
    }
}
