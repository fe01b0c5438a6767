//! The models that are served: what each is, and which of them a request means.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::http::StatusCode;
use burn::tensor::Device;
use nystromformer::{Architecture, NystromformerConfig};
use nystromformer_interop::{SentenceFiles, SentencePooling, read_architecture};
use nystromformer_pipelines::{
    Aggregation, AttentionMaps, FeatureExtraction, FeaturePooling, FillMask, MultipleChoice,
    Pipeline, PipelineError, QuestionAnswering, TextClassification, TokenClassification,
    question_answering,
};

use crate::{
    error::{ApiError, ErrorType, ServerError},
    lane::{Lane, Lanes},
    limits::Limits,
    metrics::ModelMetrics,
    queue::Queue,
    routes,
    worker::Worker,
};

/// The most candidates that a mask is filled with.
pub(crate) const MOST_CANDIDATES: usize = 100;

/// A model to serve.
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// What requests call it.
    pub name: String,
    /// Its folder, with the files of a model.
    pub folder: PathBuf,
}

/// A model, with a lane for each of its pipelines; all share its weights.
pub(crate) struct ServedModel {
    pub(crate) name: String,
    pub(crate) architecture: Architecture,
    pub(crate) config: NystromformerConfig,
    pub(crate) pooling: FeaturePooling,
    pub(crate) features: Lane<FeatureExtraction>,
    pub(crate) attention: Lane<AttentionMaps>,
    pub(crate) head: HeadLane,
    pub(crate) metrics: Arc<ModelMetrics>,
    pub(crate) queue: Arc<Queue>,
    /// Ends when the model is dropped.
    _worker: Worker,
}

/// The pipeline of a model's head.
pub(crate) enum HeadLane {
    /// None, or one that texts alone are not asked of.
    None,
    FillMask(Lane<FillMask>),
    Classification(Lane<TextClassification>),
    Tokens(Lane<TokenClassification>),
    QuestionAnswering(Lane<QuestionAnswering>),
    Choice(Lane<MultipleChoice>),
}

impl ServedModel {
    fn load(source: &ModelSource, limits: &Limits, device: &Device) -> Result<Self, ServerError> {
        let ModelSource { name, folder } = source;
        let failed =
            |error: PipelineError| ServerError::Model { name: name.clone(), source: error.into() };
        let queue = Arc::new(Queue::new(limits.max_queue, limits.batch(), limits.batch_wait));
        let mut lanes = Lanes::new(Arc::clone(&queue));
        let loaded = Loaded::load(folder, limits, device, &mut lanes).map_err(failed)?;
        let metrics = Arc::new(ModelMetrics::new(name));
        let worker = Worker::start(
            name,
            Arc::clone(&queue),
            lanes.into_all(),
            limits.batch(),
            Arc::clone(&metrics),
        )
        .map_err(ServerError::Runtime)?;
        let Loaded { architecture, pooling, features, attention, head } = loaded;
        let config = features.served().config().clone();
        Ok(Self {
            name: name.clone(),
            architecture,
            config,
            pooling,
            features,
            attention,
            head,
            metrics,
            queue,
            _worker: worker,
        })
    }

    /// The names of its classes, if its head tells classes apart.
    pub(crate) fn labels(&self) -> Option<&[String]> {
        match &self.head {
            HeadLane::Classification(lane) => Some(lane.served().pipeline().labels()),
            HeadLane::Tokens(lane) => Some(lane.served().pipeline().labels()),
            _ => None,
        }
    }

    /// The token to be filled, of a model that fills it.
    pub(crate) fn mask_token(&self) -> Option<&str> {
        match &self.head {
            HeadLane::FillMask(lane) => Some(lane.served().mask_token()),
            _ => None,
        }
    }
}

/// What becomes of a text's hidden states, as sentence-transformers' files in the folder say; the mean where they say nothing.
fn pooling_of(folder: &Path) -> Result<FeaturePooling, PipelineError> {
    let SentenceFiles { pooling, left_out } = SentenceFiles::of_folder(folder)?;
    for sentence in left_out {
        tracing::warn!("`{}`: {sentence}", folder.display());
    }
    Ok(match pooling {
        None | Some(SentencePooling::Mean) => FeaturePooling::Mean,
        Some(SentencePooling::Cls) => FeaturePooling::Cls,
    })
}

/// What is read of a folder.
struct Loaded {
    architecture: Architecture,
    pooling: FeaturePooling,
    features: Lane<FeatureExtraction>,
    attention: Lane<AttentionMaps>,
    head: HeadLane,
}

impl Loaded {
    fn load(
        folder: &Path,
        limits: &Limits,
        device: &Device,
        lanes: &mut Lanes,
    ) -> Result<Self, PipelineError> {
        let architecture = read_architecture(folder)?;
        let pooling = match pooling_of(folder) {
            // What the head answers does not depend on it.
            Err(error) if architecture != Architecture::Base => {
                tracing::warn!("{error}; embeddings of this model are means");
                FeaturePooling::Mean
            }
            found => found?,
        };
        let mut sharing = Sharing { architecture, pooling, lanes };
        match architecture {
            Architecture::MaskedLm | Architecture::PreTraining => {
                let pipeline = FillMask::load(folder, device)?.with_top_k(MOST_CANDIDATES);
                Ok(sharing.with(pipeline, HeadLane::FillMask))
            }
            Architecture::SequenceClassification => {
                let pipeline = TextClassification::load(folder, device)?;
                Ok(sharing.with(pipeline, HeadLane::Classification))
            }
            Architecture::TokenClassification => {
                let pipeline = TokenClassification::load(folder, device, Aggregation::Simple)?;
                Ok(sharing.with(pipeline, HeadLane::Tokens))
            }
            Architecture::QuestionAnswering => {
                let options = question_answering::Options {
                    max_windows: Some(limits.max_client_batch_size),
                    ..question_answering::Options::default()
                };
                let pipeline = QuestionAnswering::load(folder, device, options)?;
                Ok(sharing.with(pipeline, HeadLane::QuestionAnswering))
            }
            Architecture::MultipleChoice => {
                let pipeline = MultipleChoice::load(folder, device)?;
                Ok(sharing.with(pipeline, HeadLane::Choice))
            }
            Architecture::Base | Architecture::DualEncoder => {
                let pipeline = FeatureExtraction::load(folder, device, pooling)?;
                let attention = AttentionMaps::sharing(&pipeline);
                Ok(Self {
                    architecture,
                    pooling,
                    features: sharing.lanes.add(pipeline),
                    attention: sharing.lanes.add(attention),
                    head: HeadLane::None,
                })
            }
        }
    }
}

/// Lanes of one model's weights.
struct Sharing<'a> {
    architecture: Architecture,
    pooling: FeaturePooling,
    lanes: &'a mut Lanes,
}

impl Sharing<'_> {
    fn with<P>(&mut self, pipeline: P, head: impl FnOnce(Lane<P>) -> HeadLane) -> Loaded
    where
        P: Pipeline + Send + 'static,
        P::Scores: 'static,
    {
        let features = FeatureExtraction::sharing(&pipeline, self.pooling);
        let attention = AttentionMaps::sharing(&pipeline);
        Loaded {
            architecture: self.architecture,
            pooling: self.pooling,
            features: self.lanes.add(features),
            attention: self.lanes.add(attention),
            head: head(self.lanes.add(pipeline)),
        }
    }
}

/// All models, in the order that they were named in.
pub(crate) struct Models(Vec<Arc<ServedModel>>);

impl Models {
    /// Loads them.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(crate) fn load(
        sources: &[ModelSource],
        limits: &Limits,
        device: &Device,
    ) -> Result<Self, ServerError> {
        let load = |source| ServedModel::load(source, limits, device).map(Arc::new);
        sources.iter().map(load).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.0.iter()
    }

    /// The model that a request to `route` means, and what it answers with.
    ///
    /// # Errors
    /// If there is none of that name, if it does not answer there, or if several do and none is named.
    pub(crate) fn choose<T>(
        &self,
        route: &str,
        name: Option<&str>,
        lane: impl Fn(&ServedModel) -> Option<T>,
    ) -> Result<(Arc<ServedModel>, T), ApiError> {
        let names = |models: &mut dyn Iterator<Item = &Arc<ServedModel>>| {
            models.map(|model| format!("`{}`", model.name)).collect::<Vec<_>>().join(", ")
        };
        let candidates: Vec<_> = match name {
            None => self.0.iter().collect(),
            Some(name) => self.0.iter().filter(|model| model.name == name).collect(),
        };
        if let (Some(name), []) = (name, &candidates[..]) {
            let message = format!("no model `{name}`; there is {}", names(&mut self.0.iter()));
            return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorType::NotFound, message));
        }
        let mut found: Vec<_> =
            candidates.iter().filter_map(|model| Some((Arc::clone(model), lane(model)?))).collect();
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => {
                let serves = |model: &&Arc<ServedModel>| {
                    let routes = routes::of_model(model).join(", ");
                    format!("`{}` ({}) serves {routes}", model.name, model.architecture)
                };
                let serves: Vec<_> = candidates.iter().map(serves).collect();
                let message = format!("no model here answers `{route}`: {}", serves.join("; "));
                Err(ApiError::new(StatusCode::FAILED_DEPENDENCY, ErrorType::Backend, message))
            }
            _ => Err(ApiError::invalid(format!(
                "several models answer `{route}`; say which as `model`: {}",
                names(&mut found.iter().map(|(model, _)| model))
            ))),
        }
    }
}
