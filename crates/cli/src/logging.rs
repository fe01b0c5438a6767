//! Log lines on stderr; `RUST_LOG` chooses which (default `info` for our crates, `warn` for others).

use std::io::IsTerminal;

use nystromformer_learner::ranks::launched_rank;
use tracing_subscriber::EnvFilter;

/// Of several processes that train together, what the others than rank 0 say: the rest would be said once by each.
const FOLLOWERS: &str = "error";

/// Installs the subscriber. Metrics are not logs: they go to `metrics.jsonl`.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        let is_follower = launched_rank().is_some_and(|rank| rank > 0);
        EnvFilter::new(if is_follower {
            FOLLOWERS
        } else {
            "warn,nystromformer=info,nystromformer_data=info,nystromformer_interop=info,\
             nystromformer_learner=info,nystromformer_server=info,nystromformer_cli=info"
        })
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would say so on stderr, and panic if that is the closed pipe it cannot write to.
        .log_internal_errors(false)
        .without_time()
        .init();
}
