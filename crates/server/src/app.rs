//! What all requests share.

use std::sync::{Arc, Weak};

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

    /// Does work that takes a while away from the threads that serve connections. It is told who asks.
    ///
    /// # Errors
    /// 500 if it panics.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Asker) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        // It goes with this call, which is given up where the time is over or the client has gone.
        let waiting = Arc::new(());
        let asker = Asker(Arc::downgrade(&waiting));
        let task = spawn_blocking(move || {
            let done = work(&asker);
            drop(permit);
            done
        });
        let done = task.await;
        drop(waiting);
        done.map_err(|error: JoinError| {
            tracing::error!("a request could not be answered: {error}; the server goes on");
            ApiError::fault()
        })
    }
}

/// Who waits for work.
pub(crate) struct Asker(Weak<()>);

impl Asker {
    /// Ends work between two inputs if nobody waits for it any more.
    ///
    /// # Errors
    /// One that nobody reads.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.0.strong_count() == 0 { Err(ApiError::fault()) } else { Ok(()) }
    }
}

/// How many threads do such work.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use burn::tensor::Device;

    use super::*;

    #[test]
    fn work_is_told_that_nobody_waits_for_it_any_more() {
        let limits = Limits::default();
        let models = Models::load(&[], &limits, &Device::flex()).unwrap();
        let app = App::new(limits, models, Cors::new(Vec::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        runtime.block_on(async {
            let work = app.work(move |asker| {
                begun.send(asker.check().is_ok()).unwrap();
                while asker.check().is_ok() {
                    std::thread::yield_now();
                }
                ended.send(()).unwrap();
            });
            let beginning = async {
                loop {
                    match has_begun.try_recv() {
                        Ok(is_asked) => return is_asked,
                        Err(_) => tokio::task::yield_now().await,
                    }
                }
            };
            tokio::select! {
                biased;
                _ = work => panic!("it is still asked for"),
                is_asked = beginning => assert!(is_asked),
            }
        });
        runtime.shutdown_background();
        has_ended.recv_timeout(Duration::from_mins(1)).unwrap();
    }
}
