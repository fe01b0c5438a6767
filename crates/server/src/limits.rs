//! What the server takes on at once, and how long it waits.

use std::time::Duration;

use nystromformer_pipelines::BatchLimits;

/// Bounds, each a flag of the command line by the same name.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's body. Default: 2,000,000, as text-embeddings-inference.
    pub max_body_bytes: usize,
    /// Inputs, choices or windows of one request: rows of the model. Default: 128.
    pub max_client_batch_size: usize,
    /// Candidates of one request to fill masks: masks times `top_k`. Default: 4,096.
    pub max_candidates: usize,
    /// Tokens of a batch, padding counted. Default: 16,384.
    pub max_batch_tokens: usize,
    /// Rows of a batch. Default: 64.
    pub max_batch_requests: usize,
    /// How long a batch waits for as many requests as the one before had. Default: 2 ms.
    pub batch_wait: Duration,
    /// Rows that wait for a model. Default: 1,024.
    pub max_queue: usize,
    /// Connections at once. Default: 512.
    pub max_connections: usize,
    /// For the head of a request, and between two requests of a connection. Default: 10 s.
    pub header_timeout: Duration,
    /// For the body of a request. Default: 30 s.
    pub body_timeout: Duration,
    /// Without any progress in writing an answer. Default: 30 s.
    pub write_timeout: Duration,
    /// From the body to the answer. Default: 60 s.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 2_000_000,
            max_client_batch_size: 128,
            max_candidates: 4096,
            max_batch_tokens: 16_384,
            max_batch_requests: 64,
            batch_wait: Duration::from_millis(2),
            max_queue: 1024,
            max_connections: 512,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_mins(1),
        }
    }
}

impl Limits {
    /// Those of one batch.
    pub(crate) fn batch(&self) -> BatchLimits {
        BatchLimits { rows: self.max_batch_requests, tokens: self.max_batch_tokens }
    }

    /// All of them with the flags that change them, for the line that is told at the start.
    pub fn described(&self) -> String {
        format!(
            "bodies of {} bytes (--max-body-bytes), {} rows a request (--max-client-batch-size), {} candidates for masks \
             (--max-candidates), batches of {} rows \
             (--max-batch-requests) and {} tokens (--max-batch-tokens), {} rows waiting (--max-queue), {} connections \
             (--max-connections), {} s for an answer (--request-timeout)",
            self.max_body_bytes,
            self.max_client_batch_size,
            self.max_candidates,
            self.max_batch_requests,
            self.max_batch_tokens,
            self.max_queue,
            self.max_connections,
            self.request_timeout.as_secs_f64(),
        )
    }
}
