//! The thread that computes all that a model is asked.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use nystromformer_pipelines::BatchLimits;

use crate::{lane::Compute, metrics::ModelMetrics, queue::Queue};

/// A model's thread. It ends when its queue is closed and empty.
pub(crate) struct Worker {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub(crate) fn start(
        name: &str,
        queue: Arc<Queue>,
        lanes: Vec<Box<dyn Compute>>,
        limits: BatchLimits,
        metrics: Arc<ModelMetrics>,
    ) -> std::io::Result<Self> {
        let work = Arc::clone(&queue);
        let run = move || {
            while let Some(taken) = work.take() {
                let lane = &lanes[taken.lane];
                let compute = AssertUnwindSafe(|| lane.compute(taken.jobs, limits, &metrics));
                if catch_unwind(compute).is_err() {
                    tracing::error!("some requests could not be answered; the server goes on");
                }
            }
        };
        let thread = thread::Builder::new().name(format!("model {name}")).spawn(run)?;
        Ok(Self { queue, thread: Some(thread) })
    }
}

impl Drop for Worker {
    /// Waits until all is computed that waited.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // It catches its panics.
            let _ = thread.join();
        }
    }
}
