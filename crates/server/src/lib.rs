//! Models behind HTTP: text-embeddings-inference's requests and answers, `OpenAI`'s for embeddings, those of transformers'
//! pipelines for the other heads, and a page for people.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use nystromformer_server::{Bound, Limits, ModelSource, Service, Stop};
//!
//! # fn main() -> Result<(), nystromformer_server::ServerError> {
//! let bound = Bound::new("127.0.0.1", 8080)?;
//! let model = ModelSource { name: "sst2".to_owned(), folder: "model".into() };
//! let service = Service::load(&[model], Limits::default(), &[], &Device::flex())?;
//! bound.serve(service, &Stop::new(), |address, _| println!("http://{address}/"))?;
//! # Ok(())
//! # }
//! ```
//!
//! A request goes through `connections` (bounded, timed) → `routes` (a file each) → `body` (bounded) → `asking` (tokens, lengths)
//! → `queue` (bounded) → `worker`, one thread for each model, which computes what waits in batches (`lane`). What a batch holds
//! beside a request changes no bit of its answer on the CPU.
//!
//! | module | idea |
//! |---|---|
//! | `server` | an address, models behind it, and an end in order |
//! | `connections`, `stream` | connections, their number, and slow clients |
//! | `routes` | what can be asked |
//! | `body`, `reply`, `error`, `cors` | JSON in, JSON out, refusals, pages of other origins |
//! | `asking` | from the texts of a request to their scores |
//! | `models`, `lane`, `queue`, `worker` | what is served, and the batches that it is computed in |
//! | `limits`, `metrics`, `app` | bounds, counts, and what all requests share |

mod app;
mod asking;
mod body;
mod connections;
mod cors;
mod error;
mod lane;
mod limits;
mod metrics;
mod models;
mod queue;
mod reply;
mod routes;
mod server;
mod stream;
mod worker;

pub use error::ServerError;
pub use limits::Limits;
pub use models::ModelSource;
pub use server::{Bound, Service, Stop};
