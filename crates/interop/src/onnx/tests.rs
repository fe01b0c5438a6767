//! What is in the files: the graphs' form, their names, what is stored how. What they compute is compared by
//! `tools/reference/check_onnx.py`, which runs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use burn::tensor::{Device, Int, Tensor};
use nystromformer::{
    Architecture, AttentionKind, FeedForwardKind, Head, HiddenAct, Labels, Model,
    NystromformerConfig, NystromformerInput, PinvInit, PinvMethod, Pooling, PositionEmbeddingType,
    PreTrainedModel, ProblemType, RowsPerAnswer, Semantics, VectorPositions,
};
use prost::Message;
use serde_json::Value as Json;

use super::{
    OnnxOptions, Quantization,
    element::Precision,
    export::{export_onnx, message, refusal},
    model::NoGraph,
    proto::{DataType, DimensionValue, GraphProto, ModelProto, TensorProto, ValueInfoProto},
    weights::Weights,
};
use crate::{
    ExportOptions, ImportOptions, SentenceFiles, SentencePooling, error::InteropError,
    export_model, import_model, save,
};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Int8];

/// Every operator that a graph may have: onnxruntime's CPU provider has all of them in operator set 17.
const OPERATORS: [&str; 37] = [
    "Add",
    "Cast",
    "Ceil",
    "Concat",
    "Conv",
    "Cos",
    "CumSum",
    "Div",
    "DynamicQuantizeLinear",
    "Equal",
    "Erf",
    "Expand",
    "Floor",
    "Gather",
    "Gemm",
    "Identity",
    "LayerNormalization",
    "Less",
    "MatMul",
    "MatMulInteger",
    "Max",
    "Min",
    "Mul",
    "Pow",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Sqrt",
    "Squeeze",
    "Sub",
];
const MORE_OPERATORS: [&str; 4] = ["Tanh", "Transpose", "Unsqueeze", "Where"];

fn tiny() -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 20;
        config.shared.hidden_size = 8;
        config.encoder.num_hidden_layers = 2;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 12;
        config.embeddings.max_position_embeddings = 10;
        config.attention.nystrom.num_landmarks = 2;
        config.attention.convolution.conv_kernel_size = 3;
        config.classifier.id2label = Labels::numbered(3);
    })
}

fn with(change: impl FnOnce(&mut NystromformerConfig)) -> NystromformerConfig {
    tiny().with(change)
}

/// Every kind of attention, semantics and switch that a graph depends on.
fn configs() -> Vec<NystromformerConfig> {
    let vectors = |positions, pooling| {
        with(|config| {
            config.vectors.num_features = 3;
            config.vectors.vector_positions = positions;
            config.vectors.feature_mean = vec![0.5; 3];
            config.vectors.feature_std = vec![2.0; 3];
            config.classifier.pooling = pooling;
        })
    };
    let hf = |config: &mut NystromformerConfig| {
        config.shared.semantics = Semantics::Hf;
        config.attention.nystrom.pinv_init = PinvInit::Original;
        config.attention.nystrom.segment_means_seq_len = 6;
    };
    vec![
        tiny(),
        with(hf),
        with(|config| {
            hf(config);
            config.attention.nystrom.segment_means_seq_len = 2;
        }),
        with(|config| config.attention.kind = AttentionKind::Softmax),
        with(|config| {
            config.shared.norm_first = true;
            config.attention.convolution.conv_kernel_size = 0;
            config.classifier.pooling = Pooling::Mean;
        }),
        with(|config| {
            config.encoder.num_hidden_groups = 1;
            config.classifier.pooling = Pooling::MeanPadded;
            config.shared.hidden_act = HiddenAct::Gelu;
        }),
        with(|config| {
            config.classifier.problem_type = Some(ProblemType::Regression);
            config.classifier.label_mean = Some(vec![1.0, 2.0, 3.0]);
            config.classifier.label_std = Some(vec![1.0, 2.0, 3.0]);
            config.shared.hidden_act = HiddenAct::Silu;
        }),
        vectors(VectorPositions::None, Pooling::First),
        vectors(VectorPositions::Learned, Pooling::Attention),
        vectors(VectorPositions::Grid, Pooling::Mean),
        with(|config| config.attention.nystrom.pinv = PinvMethod::Solve),
        with(|config| {
            config.attention.convolution.conv_per_channel = true;
            config.shared.position_embedding_type = PositionEmbeddingType::BothEnds;
            config.classifier.pooling = Pooling::FirstLast;
        }),
        with(|config| {
            config.shared.norm_first = true;
            config.shared.position_embedding_type = PositionEmbeddingType::Rotary;
            config.embeddings.stem.stem_layers = 2;
            config.embeddings.stem.stem_kernel_size = 3;
            config.classifier.pooling = Pooling::MeanMax;
        }),
        with(|config| {
            config.attention.kind = AttentionKind::Softmax;
            config.shared.position_embedding_type = PositionEmbeddingType::Axial;
            config.embeddings.image_width = 4;
        }),
        with(|config| config.feed_forward.kind = FeedForwardKind::Gated),
    ]
}

/// Whether such a model can be made: what predicts tokens has a table of them.
fn exists(architecture: Architecture, config: &NystromformerConfig) -> bool {
    let predicts = [Architecture::MaskedLm, Architecture::PreTraining].contains(&architecture);
    let chooses = architecture.class().rows_per_answer == RowsPerAnswer::Choices;
    !(config.vectors.is_used() && (predicts || chooses))
}

fn model(architecture: Architecture, config: &NystromformerConfig) -> Model {
    Model::init(architecture, config, &Device::flex()).unwrap()
}

/// The graph of a model, written and read again.
fn graph_of(model: &Model, precision: Precision) -> GraphProto {
    let weights = Weights::of(model).unwrap();
    let source = Path::new("checkpoint");
    let written =
        message(source, model.architecture(), model.config(), &weights, precision).unwrap();
    let read = ModelProto::decode(&*written.encode_to_vec()).unwrap();
    assert_eq!(read, written);
    assert_eq!((read.ir_version, read.opset_import[0].version), (8, 17));
    read.graph.unwrap()
}

fn names(values: &[ValueInfoProto]) -> Vec<&str> {
    values.iter().map(|value| value.name.as_str()).collect()
}

/// Sizes, and names of free ones, as text.
fn dims(value: &ValueInfoProto) -> Vec<String> {
    let shape = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().shape.as_ref();
    let of = |value: &DimensionValue| match value {
        DimensionValue::DimValue(size) => size.to_string(),
        DimensionValue::DimParam(name) => name.clone(),
    };
    shape.unwrap().dim.iter().map(|dim| of(dim.value.as_ref().unwrap())).collect()
}

fn initializers(graph: &GraphProto) -> BTreeMap<&str, &TensorProto> {
    graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
}

fn bytes(graph: &GraphProto) -> usize {
    graph.initializer.iter().map(|tensor| tensor.raw_data.len()).sum()
}

/// Each node finds its inputs before it, nothing has two names or no reader, and every operator is known.
fn check_form(graph: &GraphProto) {
    let mut there: BTreeSet<&str> = names(&graph.input).into_iter().collect();
    for tensor in &graph.initializer {
        assert!(there.insert(&tensor.name), "`{}` twice", tensor.name);
        let count: i64 = tensor.dims.iter().product();
        let width = match tensor.data_type() {
            DataType::Int64 => 8,
            DataType::Float => 4,
            DataType::Float16 => 2,
            DataType::Int8 => 1,
            other => panic!("`{}` is stored as {other:?}", tensor.name),
        };
        assert_eq!(tensor.raw_data.len(), count as usize * width, "{}", tensor.name);
    }
    let mut nodes = BTreeSet::new();
    for node in &graph.node {
        assert!(nodes.insert(&node.name), "`{}` twice", node.name);
        let known = OPERATORS.iter().chain(&MORE_OPERATORS).any(|known| *known == node.op_type);
        assert!(known, "{}", node.op_type);
        for input in &node.input {
            assert!(there.contains(input.as_str()), "`{}` reads `{input}`", node.name);
        }
        for output in &node.output {
            assert!(there.insert(output), "`{output}` twice");
        }
    }
    let read: BTreeSet<&str> =
        graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let answers = names(&graph.output);
    for name in there {
        assert!(read.contains(name) || answers.contains(&name), "nothing reads `{name}`");
    }
    for answer in answers {
        assert!(graph.node.iter().any(|node| node.output[0] == answer), "{answer}");
    }
}

/// Every head with every configuration in every precision; that no weight is left out, `message` itself makes sure.
#[test]
fn graphs_are_whole_and_answer_by_the_models_names() {
    let device = Device::flex();
    for config in configs() {
        for architecture in Architecture::ALL {
            if !exists(architecture, &config) {
                continue;
            }
            let model = model(architecture, &config);
            for precision in PRECISIONS {
                let graph = graph_of(&model, precision);
                check_form(&graph);
                let seq_len = config.required_seq_len().unwrap_or(6);
                let (input, expected) = if config.vectors.is_used() {
                    let features = Tensor::<3>::ones([4, seq_len, 3], &device);
                    (
                        NystromformerInput::from_features(features),
                        &["input_features", "attention_mask"][..],
                    )
                } else {
                    let ids = Tensor::<2, Int>::ones([4, seq_len], &device);
                    (
                        NystromformerInput::new(ids),
                        &["input_ids", "attention_mask", "token_type_ids"][..],
                    )
                };
                assert_eq!(names(&graph.input), expected);
                let outputs = model.outputs(input, 2).unwrap();
                let told: Vec<_> = outputs.iter().map(|output| output.name).collect();
                assert_eq!(names(&graph.output), told);
                for (value, output) in graph.output.iter().zip(outputs) {
                    let dims = dims(value);
                    assert_eq!(dims.len(), output.shape.len(), "{architecture}: {dims:?}");
                    for (dim, size) in dims.iter().zip(output.shape) {
                        assert!(
                            dim.parse().is_ok_and(|fixed: usize| fixed == size)
                                || dim.parse::<usize>().is_err()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn sizes_are_free_but_where_semantics_fix_them() {
    let shapes = |architecture, config: &NystromformerConfig| {
        let graph = graph_of(&model(architecture, config), Precision::F32);
        let of = |values: &[ValueInfoProto]| values.iter().map(dims).collect::<Vec<_>>();
        (of(&graph.input), of(&graph.output))
    };
    let (inputs, outputs) = shapes(Architecture::MaskedLm, &tiny());
    assert_eq!(inputs, [["batch", "sequence"]; 3]);
    assert_eq!(outputs, [["batch", "sequence", "20"]]);
    let (inputs, outputs) = shapes(Architecture::MultipleChoice, &tiny());
    assert_eq!(inputs, [["batch", "num_choices", "sequence"]; 3]);
    assert_eq!(outputs, [["batch", "num_choices"]]);
    let (inputs, outputs) = shapes(Architecture::QuestionAnswering, &configs()[1]);
    assert_eq!(inputs, [["batch", "6"]; 3], "transformers approximates at one length only");
    assert_eq!(outputs, [["batch", "6"]; 2]);
    let (inputs, _) = shapes(Architecture::Base, &configs()[2]);
    assert_eq!(inputs, [["batch", "sequence"]; 3], "and attends exactly at any");
    let (inputs, outputs) = shapes(Architecture::Base, &configs()[7]);
    assert_eq!(inputs, [vec!["batch", "sequence", "3"], vec!["batch", "sequence"]]);
    assert_eq!(outputs, [["batch", "sequence + 1", "8"]]);
}

#[test]
fn what_is_shared_is_stored_once() {
    let shared = graph_of(&model(Architecture::MaskedLm, &configs()[5]), Precision::F32);
    let own = graph_of(&model(Architecture::MaskedLm, &tiny()), Precision::F32);
    let queries = |graph: &GraphProto| {
        let names = initializers(graph).into_keys();
        names.filter(|name| name.ends_with("self.query.weight")).count()
    };
    assert_eq!((queries(&shared), queries(&own)), (1, 2));
    let words = own.initializer.iter().filter(|tensor| tensor.dims.contains(&20));
    let words: Vec<_> = words.map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(
        words,
        ["nystromformer.embeddings.word_embeddings.weight", "cls.predictions.bias"],
        "the decoder is the token table"
    );
}

#[test]
fn precisions_store_what_they_say() {
    let config = tiny().with(|config| config.embeddings.vocab_size = 2000);
    let model = model(Architecture::MaskedLm, &config);
    let [f32, f16, int8] = PRECISIONS.map(|precision| graph_of(&model, precision));
    let table = "nystromformer.embeddings.word_embeddings.weight";
    assert_eq!(initializers(&f32)[table].data_type(), DataType::Float);
    assert_eq!(initializers(&f16)[table].data_type(), DataType::Float16);
    assert!(bytes(&f16) * 19 < bytes(&f32) * 10, "{} of {}", bytes(&f16), bytes(&f32));
    assert!(bytes(&int8) * 2 < bytes(&f32), "{} of {}", bytes(&int8), bytes(&f32));

    // Six linear layers a layer of two, the head's, and the decoder; query, key and value read one tensor.
    let count = |op: &str| int8.node.iter().filter(|node| node.op_type == op).count();
    assert_eq!((count("MatMulInteger"), count("DynamicQuantizeLinear")), (2 * 6 + 2, 2 * 4 + 2));
    let stored = initializers(&int8);
    let floats = |tensor: &TensorProto| -> Vec<f32> {
        let (values, _) = tensor.raw_data.as_chunks();
        values.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    for (part, by_row) in [
        ("nystromformer.embeddings.word_embeddings", true),
        ("nystromformer.encoder.layer.1.output.dense", false),
    ] {
        assert!(!stored.contains_key(format!("{part}.weight").as_str()));
        let scales = floats(stored[format!("{part}.weight_scale").as_str()]);
        let integers = stored[format!("{part}.weight_quantized").as_str()];
        let weight = initializers(&f32)[format!("{part}.weight").as_str()];
        assert_eq!(integers.dims, weight.dims);
        let width = weight.dims[1] as usize;
        for (index, value) in floats(weight).into_iter().enumerate() {
            let scale = scales[if by_row { index / width } else { index % width }];
            let integer = f32::from(i8::from_le_bytes([integers.raw_data[index]]));
            assert!((integer * scale - value).abs() <= scale * 0.5001, "{part}: {value}");
        }
    }
}

#[test]
fn a_part_without_a_graph_is_refused_by_its_name() {
    for (part, key, value) in [
        (NoGraph::Attention(AttentionKind::Softmax), "attention", "softmax"),
        (NoGraph::Option("landmarks", "k_means".to_owned()), "landmarks", "k_means"),
        (NoGraph::Head(Architecture::DualEncoder), "architectures", "NystromformerDualEncoder"),
    ] {
        let error = refusal(part, Path::new("checkpoint"));
        assert!(matches!(error, InteropError::Config { .. }));
        let message = error.to_string();
        assert!(message.contains(&format!("config.json`: {key} = `{value}`")), "{message}");
    }
}

/// Every file of a folder, by its path in it.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(listing(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn the_folder_holds_what_its_readers_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let (source, output) = (folder.path().join("checkpoint"), folder.path().join("exported"));
    save(&model(Architecture::MaskedLm, &tiny()), &source).unwrap();
    fs::write(source.join("tokenizer.json"), r#"{"added_tokens": []}"#).unwrap();
    let options = OnnxOptions {
        without_head: true,
        f16: true,
        quantize: Some(Quantization::Int8),
        pooling: Some(SentencePooling::Cls),
        ..OnnxOptions::default()
    };
    let exported = export_onnx(&source, &output, &options).unwrap();
    assert_eq!(
        listing(&output),
        [
            "1_Pooling/config.json",
            "config.json",
            "onnx/model.onnx",
            "onnx/model_fp16.onnx",
            "onnx/model_quantized.onnx",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
    );
    assert_eq!(exported.notes.len(), 3, "{:?}", exported.notes);
    assert!(exported.notes[0].contains("any length up to 10 tokens"), "{:?}", exported.notes);
    let json = |name: &str| -> Json {
        serde_json::from_slice(&fs::read(output.join(name)).unwrap()).unwrap()
    };
    let pooling = json("1_Pooling/config.json");
    assert_eq!(
        (&pooling["pooling_mode_cls_token"], &pooling["pooling_mode_mean_tokens"]),
        (&true.into(), &false.into())
    );
    assert_eq!(pooling["word_embedding_dimension"], 8);
    assert_eq!(json("config.json")["architectures"][0], "NystromformerModel");
    assert_eq!(json("tokenizer_config.json")["model_max_length"], 10);
    let model = ModelProto::decode(&*fs::read(output.join("onnx/model.onnx")).unwrap()).unwrap();
    assert_eq!(names(&model.graph.unwrap().output), ["last_hidden_state"]);

    // A head is not pooled, and its export has its own names.
    let output = folder.path().join("head");
    let options = OnnxOptions { pooling: Some(SentencePooling::Mean), ..OnnxOptions::default() };
    let error = export_onnx(&source, &output, &options).unwrap_err();
    assert!(error.to_string().contains("`--pooling=mean`: the model's head answers"), "{error}");
    assert!(!output.exists());
    export_onnx(&source, &output, &OnnxOptions::default()).unwrap();
    assert!(!output.join("1_Pooling").exists());
    let error = export_onnx(&source, &output, &OnnxOptions::default()).unwrap_err();
    assert!(matches!(error, InteropError::OutputExists { .. }), "{error}");
}

/// An encoder that comes from sentence-transformers goes on as what it was, in both forms of export.
#[test]
fn the_pooling_of_the_source_travels() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkpoint");
    save(&model(Architecture::Base, &tiny()), &source).unwrap();
    fs::create_dir(source.join("1_Pooling")).unwrap();
    let cls = r#"{"pooling_mode_cls_token": true}"#;
    fs::write(source.join("1_Pooling/config.json"), cls).unwrap();
    fs::write(source.join("sentence_bert_config.json"), r#"{"max_seq_length": 6}"#).unwrap();
    let pooling = |output: &Path| SentenceFiles::of_folder(output).unwrap().pooling;
    let graph = folder.path().join("graph");
    let exported = export_onnx(&source, &graph, &OnnxOptions::default()).unwrap();
    assert_eq!(pooling(&graph), Some(SentencePooling::Cls));
    assert!(exported.notes.iter().any(|note| note.contains("first 6 tokens")), "{exported:?}");
    let copy = folder.path().join("copy");
    export_model(&source, &copy, &ExportOptions::default()).unwrap();
    let imported = folder.path().join("imported");
    import_model(&source, &imported, &ImportOptions::default()).unwrap();
    for output in [&copy, &imported] {
        let found = SentenceFiles::of_folder(output).unwrap();
        assert_eq!(found, SentenceFiles::of_folder(&source).unwrap());
    }
    // What is stated wins, also over what no server here computes.
    fs::write(source.join("1_Pooling/config.json"), r#"{"pooling_mode_max_tokens": true}"#)
        .unwrap();
    let stated = OnnxOptions { pooling: Some(SentencePooling::Mean), ..OnnxOptions::default() };
    let output = folder.path().join("stated");
    export_onnx(&source, &output, &stated).unwrap();
    assert_eq!(pooling(&output), Some(SentencePooling::Mean));
    let refused = export_onnx(&source, &folder.path().join("refused"), &OnnxOptions::default());
    assert!(refused.unwrap_err().to_string().contains("`pooling_mode_max_tokens`"));
}

#[test]
fn what_differs_from_one_row_to_a_batch_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkpoint");
    save(&model(Architecture::Base, &configs()[1]), &source).unwrap();
    let options = OnnxOptions { quantize: Some(Quantization::Int8), ..OnnxOptions::default() };
    let notes = export_onnx(&source, &folder.path().join("exported"), &options).unwrap().notes;
    for (note, words) in notes.iter().zip([
        "exactly segment_means_seq_len = 6 tokens",
        "Padding leaks",
        "one scale from the whole batch",
        "rounds what each layer reads",
    ]) {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(notes.len(), 4, "{notes:?}");
}
