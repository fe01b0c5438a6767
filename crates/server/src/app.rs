//! What all requests share.

use std::sync::Arc;

use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
};

use crate::{
    body::BODIES_KIB, cors::Cors, error::ApiError, limits::Limits, metrics::Metrics, models::Models,
};

/// Threads that tokenize texts and write answers, at most: each may hold a body's texts as tokens.
pub(crate) const MOST_THREADS: usize = 8;

/// The state of a server.
pub(crate) struct App {
    pub(crate) limits: Limits,
    pub(crate) models: Models,
    pub(crate) cors: Cors,
    pub(crate) metrics: Arc<Metrics>,
    /// KiB of bodies that may be held at once.
    pub(crate) bodies: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(limits: Limits, models: Models, cors: Cors) -> Self {
        // At least one body of the largest.
        let bodies_kib = BODIES_KIB.max(limits.max_body_bytes.div_ceil(1024));
        Self {
            limits,
            models,
            cors,
            metrics: Arc::default(),
            bodies: Arc::new(Semaphore::new(bodies_kib.min(Semaphore::MAX_PERMITS))),
            threads: Arc::new(Semaphore::new(threads())),
        }
    }

    /// Does work that takes a while away from the threads that serve connections.
    ///
    /// # Errors
    /// 500 if it panics.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        let task = spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        task.await.map_err(|error: JoinError| {
            tracing::error!("a request could not be answered: {error}; the server goes on");
            ApiError::fault()
        })
    }
}

/// How many threads do such work.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}
