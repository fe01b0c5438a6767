//! Answers over HTTP; see `nystromformer serve --help`.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use nystromformer_learner::trainer::model_folder;
use nystromformer_server::{Bound, Limits, ModelSource, Service, Stop};

use crate::{device_arg::DeviceArg, output, signals};

/// Answer over HTTP: text-embeddings-inference's routes, `/v1/embeddings`, and a page for people at `/`.
///
/// `/embed`, `/predict`, `/rerank`, `/choice`, `/fill-mask`, `/tokens`, `/qa`, `/attention`, `/v1/embeddings`; `/health`, `/info`,
/// `/metrics` (Prometheus), `/openapi.json`. Requests that come at the same time are computed together, and none of them can tell.
/// SIGTERM, or Ctrl-C once, ends the server when what it has accepted is answered.
#[derive(clap::Args)]
pub struct Args {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, a Hugging Face folder, or `hub:owner/name`. Several may
    /// be served; requests choose one by its name, which is the folder's unless one stands before it.
    #[arg(long = "model", value_name = "[NAME=]DIR", required = true)]
    models: Vec<String>,
    /// The port; 0 is any that is free.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address or name to listen on. 0.0.0.0 lets other machines ask; whoever can connect can ask.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    #[command(flatten)]
    device: DeviceArg,
    #[command(flatten)]
    limits: LimitArgs,
    /// An origin whose pages may ask in a browser, as in `https://example.org`; `*` is all of them. Default: none but the
    /// server's own.
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    cors_origins: Vec<String>,
}

/// [`Limits`] as arguments.
#[derive(clap::Args)]
struct LimitArgs {
    /// The largest body of a request; 413 beyond it.
    #[arg(long, value_name = "BYTES", default_value = "2000000")]
    max_body_bytes: NonZeroUsize,
    /// Inputs, choices, or windows of a long context, of one request; 413 beyond it.
    #[arg(long, value_name = "ROWS", default_value = "128")]
    max_client_batch_size: NonZeroUsize,
    /// Candidates of one request to fill masks, masks times `top_k`; 413 beyond it.
    #[arg(long, value_name = "N", default_value = "4096")]
    max_candidates: NonZeroUsize,
    /// Tokens that are computed together, padding counted.
    #[arg(long, value_name = "TOKENS", default_value = "16384")]
    max_batch_tokens: NonZeroUsize,
    /// Rows that are computed together.
    #[arg(long, value_name = "ROWS", default_value = "64")]
    max_batch_requests: NonZeroUsize,
    /// How long a batch waits for as many requests as the one before had, in milliseconds. A single client never waits.
    #[arg(long, value_name = "MS", default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_TIME_S * 1000))]
    batch_wait_ms: u64,
    /// Rows that wait for a model; 429 beyond it.
    #[arg(long, value_name = "ROWS", default_value = "1024")]
    max_queue: NonZeroUsize,
    /// Connections at once; 503 beyond it.
    #[arg(long, value_name = "N", default_value = "512")]
    max_connections: NonZeroU32,
    /// For the head of a request, and between two requests of a connection.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    header_timeout: Duration,
    /// For the body of a request; 408 after it.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    body_timeout: Duration,
    /// Without any progress in writing an answer, until the connection is closed.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    write_timeout: Duration,
    /// From a request's body to its answer; 504 after it.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    request_timeout: Duration,
}

/// A year, in seconds. Clocks overflow somewhere beyond.
const LONGEST_TIME_S: u64 = 365 * 24 * 60 * 60;

/// A time above 0, as it is typed.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let possible =
        |time: &Duration| !time.is_zero() && *time <= Duration::from_secs(LONGEST_TIME_S);
    seconds.filter(possible).ok_or("it is a number of seconds above 0, a year (31536000) at most")
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        Self {
            max_body_bytes: args.max_body_bytes.get(),
            max_client_batch_size: args.max_client_batch_size.get(),
            max_candidates: args.max_candidates.get(),
            max_batch_tokens: args.max_batch_tokens.get(),
            max_batch_requests: args.max_batch_requests.get(),
            batch_wait: Duration::from_millis(args.batch_wait_ms),
            max_queue: args.max_queue.get(),
            max_connections: args.max_connections.get() as usize,
            header_timeout: args.header_timeout,
            body_timeout: args.body_timeout,
            write_timeout: args.write_timeout,
            request_timeout: args.request_timeout,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let limits = Limits::from(args.limits);
    if limits.max_queue < limits.max_client_batch_size {
        bail!(
            "`--max-queue {}` is below `--max-client-batch-size {}`, and such a request could never wait: raise the one or \
             lower the other",
            limits.max_queue,
            limits.max_client_batch_size
        );
    }
    let sources = sources(&args.models)?;
    // Taken before models are read, which takes a while, and answered on after.
    let bound = Bound::new(&args.host, args.port)?;
    let stop = Stop::new();
    let signals = signals::EndSignals::listen({
        let stop = stop.clone();
        move || stop.begin()
    })
    .context("cannot listen for signals")?;
    let device = args.device.kind().open()?;
    let service = Service::load(&sources, limits, &args.cors_origins, &device)?;
    bound.serve(service, &stop, |address, service| {
        signals.serving_begins();
        output::note(&format!("serving on http://{address}/ : {}", service.described()));
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The models that were named, each with the folder of its files.
fn sources(named: &[String]) -> anyhow::Result<Vec<ModelSource>> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for named in named {
        let (name, path) = named_path(named)?;
        if !names.insert(name.clone()) {
            bail!(
                "two models are called `{name}`; name one of them: `--model NAME={}`",
                path.display()
            );
        }
        sources.push(ModelSource { name, folder: model_folder(&path)? });
    }
    Ok(sources)
}

/// Name and path of `NAME=DIR` or `DIR`, which is called as its last part.
fn named_path(named: &str) -> anyhow::Result<(String, PathBuf)> {
    // A folder may have the mark in its own name.
    if let Some((name, path)) = named.split_once('=').filter(|_| !Path::new(named).exists()) {
        if name.is_empty() || path.is_empty() {
            bail!("`--model {named}`: write a name and a folder, `--model NAME=DIR`");
        }
        return Ok((name.to_owned(), path.into()));
    }
    let path = PathBuf::from(named);
    let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name =
        whole.file_name().map_or_else(|| named.to_owned(), |name| name.to_string_lossy().into());
    Ok((name, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_as_it_is_named_or_as_its_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let odd = scratch.path().join("a=b");
        std::fs::create_dir(&odd).unwrap();
        let of =
            |text: &str| named_path(text).map(|(name, path)| (name, path.display().to_string()));
        assert_eq!(of("sst2=runs/a").unwrap(), ("sst2".to_owned(), "runs/a".to_owned()));
        assert_eq!(of("nowhere/sst2").unwrap().0, "sst2");
        assert_eq!(of("hub:owner/sst2").unwrap(), ("sst2".to_owned(), "hub:owner/sst2".to_owned()));
        assert_eq!(of(odd.to_str().unwrap()).unwrap().0, "a=b");
        assert!(of("=runs/a").is_err() && of("sst2=").is_err());
    }

    #[test]
    fn times_are_above_zero() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("31536000"), Ok(Duration::from_secs(LONGEST_TIME_S)));
        for bad in ["0", "-1", "inf", "NaN", "31536001", "1e19", "1e30", "s", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
