//! Log lines on stderr; `RUST_LOG` chooses which (default `info` for our crates, `warn` for others).

use std::io::IsTerminal;

use anyhow::Context;
use nystromformer_learner::ranks::launched_rank;
use tracing_subscriber::EnvFilter;

/// Of several processes that train together, what the others than rank 0 say: the rest would be said once by each.
const FOLLOWERS: &str = "error";

/// What the targets of the library begin with that makes requests.
const REQUESTS: &str = "ureq";

/// What is said where another has taken the log.
const INSTALLED: &str = "`nystromformer_cli::run_with` writes the log, and this process has a `tracing` subscriber or a logger of the crate `log` \
                         already: install none before it is called";

/// Installs the subscriber. Metrics are not logs: they go to `metrics.jsonl`. Lines of libraries that log by the crate `log` are among its lines, unless
/// `leaves_log_free`: that crate has one logger, and `bench launches` counts by it.
///
/// # Errors
/// If a program that this one is a part of has installed a subscriber, or a logger of the crate `log`: a process has one of each.
pub fn init(leaves_log_free: bool) -> anyhow::Result<()> {
    let stated = std::env::var("RUST_LOG").ok();
    let stated = stated.and_then(|stated| EnvFilter::try_new(without_requests(&stated)).ok());
    let filter = stated.unwrap_or_else(|| {
        let is_follower = launched_rank().is_some_and(|rank| rank > 0);
        EnvFilter::new(if is_follower {
            FOLLOWERS
        } else {
            // Holes in a vocabulary are told by whoever reads it, with its file; and a launch that failed, by whoever reads its result.
            "warn,ureq=off,tokenizers::models=error,cubecl_runtime::logging=error,nystromformer=info,nystromformer_data=info,nystromformer_interop=info,\
             nystromformer_learner=info,nystromformer_server=info,nystromformer_hub=info,nystromformer_cli=info"
        })
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would say so on stderr, and panic if that is the closed pipe it cannot write to.
        .log_internal_errors(false)
        .without_time();
    if leaves_log_free {
        tracing::subscriber::set_global_default(subscriber.finish()).context(INSTALLED)
    } else {
        subscriber.try_init().map_err(anyhow::Error::from_boxed).context(INSTALLED)
    }
}

/// The same directives without those of the library that makes requests: it logs their bytes, and an access token is among them.
fn without_requests(directives: &str) -> String {
    let off = format!("{REQUESTS}=off");
    // As without the directive below.
    let directives = if directives.trim().is_empty() { "error" } else { directives };
    let others = directives.split(',').filter(|one| !one.trim_start().starts_with(REQUESTS));
    others.chain([off.as_str()]).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_subscriber_is_refused_and_no_panic() {
        // Whether the first is installed here is for the other tests of this process to say.
        init(true).ok();
        for leaves_log_free in [true, false] {
            let message = format!("{:#}", init(leaves_log_free).unwrap_err());
            assert!(message.contains("install none before it is called"), "{message}");
        }
    }

    #[test]
    fn no_directive_shows_requests() {
        for (stated, left) in [
            ("trace", "trace,ureq=off"),
            ("debug, ureq::run=trace,ureq_proto=debug", "debug,ureq=off"),
            ("ureq", "ureq=off"),
            ("", "error,ureq=off"),
        ] {
            assert_eq!(without_requests(stated), left);
            assert!(EnvFilter::try_new(left).is_ok());
        }
    }
}
