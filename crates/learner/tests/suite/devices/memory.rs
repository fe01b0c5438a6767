//! The estimate of a training's memory beside what the training takes of a GPU's, on Mesa's software Vulkan adapter: its tensors lie where a GPU's would,
//! and CubeCL counts them as on any.

use burn::module::Module;
use nystromformer_kernels::DeviceMemory;
use nystromformer_learner::{
    memory_estimate::estimate_bytes,
    trainer::{Learner, RunRequest, Session},
};

/// How far the estimate may be off, relative.
const TOLERANCE: f64 = 0.25;

/// Where activations are as large as weights, and pages of the pools smaller than both.
const SIZES: [&str; 7] = [
    "model.hidden_size=128",
    "model.num_attention_heads=4",
    "model.intermediate_size=512",
    "model.num_hidden_layers=4",
    "model.max_position_embeddings=256",
    "data.seq_len=256",
    "trainer.batch_size=4",
];

/// Estimated bytes of a training, and those that two steps of it took from the driver.
fn estimated_and_held(gradient_checkpointing: bool) -> (u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/tiny/mlm.toml");
    let own = [
        "device=wgpu".to_owned(),
        "trainer.self_check=false".to_owned(),
        format!("trainer.gradient_checkpointing={gradient_checkpointing}"),
        format!("data.cache_dir={}", directory.path().display()),
    ];
    let request = RunRequest {
        config: config.into(),
        overrides: SIZES.map(str::to_owned).into_iter().chain(own).collect(),
        run_dir: Some(directory.path().join("run")),
        resume: false,
        tasks: crate::known_tasks(),
    };
    let session = Session::open(&request, &|_| {}).unwrap();
    let (experiment, device) = (session.experiment(), session.device());
    DeviceMemory::release_unused(device);
    let mut learner = Learner::new(experiment, session.data().source(), device).unwrap();
    let parameters = learner.model().num_params();
    for _ in 0..2 {
        learner.step().unwrap();
    }
    let held = DeviceMemory::of(device).unwrap().held_bytes;
    (estimate_bytes(experiment, parameters.into(), 1), held)
}

#[test]
fn the_estimate_is_what_a_training_takes_of_a_gpu_with_and_without_checkpointing() {
    let this = "devices::memory::the_estimate_is_what_a_training_takes_of_a_gpu_with_and_without_checkpointing";
    // Other tests of this process take memory too.
    if !super::is_there() || !crate::is_alone(this) {
        return;
    }
    let found = [false, true].map(estimated_and_held);
    for (estimated, held) in found {
        let error = estimated as f64 / held as f64 - 1.0;
        println!("estimated {estimated} bytes, taken {held}: {:+.1} %", 100.0 * error);
        assert!(error.abs() < TOLERANCE, "{estimated} bytes for {held}");
    }
    let [(kept, _), (recomputed, _)] = found;
    assert!(recomputed < kept, "{recomputed} {kept}");
}
