//! The estimate of a training's memory beside what training takes of a GPU's, on Mesa's software Vulkan adapter: its tensors lie where a GPU's would,
//! and CubeCL counts them as on any.

use std::{
    env, fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use burn::{module::Module, tensor::Device};
use nystromformer_kernels::DeviceMemory;
use nystromformer_learner::{
    memory_estimate::estimate_bytes,
    trainer::{Learner, RunRequest, Session},
};

/// A training: what is set in `configs/tiny/mlm.toml`.
type Size<'a> = &'a [&'a str];

/// Bytes of one training.
#[derive(Debug)]
struct Found {
    estimated: u64,
    /// The most that tensors took at once.
    used: u64,
    /// What was taken from the driver.
    held: u64,
}

fn train(size: Size) -> Found {
    let directory = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/tiny/mlm.toml");
    let mut overrides = vec![
        "device=wgpu".to_owned(),
        "trainer.self_check=false".to_owned(),
        format!("data.cache_dir={}", directory.path().display()),
    ];
    overrides.extend(size.iter().map(|&set| set.to_owned()));
    let request = RunRequest {
        config: config.into(),
        overrides,
        run_dir: Some(directory.path().join("run")),
        resume: false,
        tasks: nystromformer_lra::with_tasks(nystromformer_tasks::tasks()),
    };
    let session = Session::open(&request, &|_| {}).unwrap();
    let (experiment, device) = (session.experiment(), session.device());
    let before = DeviceMemory::of(device).unwrap();
    let mut learner = Learner::new(experiment, session.data().source(), device).unwrap();
    let parameters = learner.model().num_params();
    let used = most_used(device, || {
        for _ in 0..3 {
            learner.step().unwrap();
        }
    });
    let held = DeviceMemory::of(device).unwrap().held_bytes;
    println!("before {before:?}");
    let _ = fs::remove_dir_all(directory.path());
    Found { estimated: estimate_bytes(experiment, parameters.into(), 1), used, held }
}

/// The most that tensors take of `device` while `work` goes on: asked again and again.
fn most_used(device: &Device, work: impl FnOnce()) -> u64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(DeviceMemory::of(device).unwrap().used_bytes);
                thread::sleep(Duration::from_micros(200));
            }
            most
        });
        work();
        is_over.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

#[test]
fn probe() {
    if env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() != Ok("wgpu") {
        return;
    }
    let sets = env::var("PROBE").unwrap();
    let size: Vec<&str> = sets.split_whitespace().collect();
    let found = train(&size);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "PROBE {sets}: estimated {:.1} used {:.1} held {:.1}",
        mib(found.estimated),
        mib(found.used),
        mib(found.held)
    );
}
