//! `AdamW` against `torch.optim.AdamW` over twenty steps, each with its own learning rate and
//! `beta_1`, and against burn-optim's where both can do the same.

use std::path::{Path, PathBuf};

use burn::module::{Module, Param, ParamId};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use nystromformer_learner::optimizer::{AdamW, OptimizerConfig, StepSettings};
use safetensors::SafeTensors;

#[derive(Module, Debug)]
struct Parameters {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    kernel: Param<Tensor<3>>,
}

struct Fixture {
    bytes: Vec<u8>,
}

impl Fixture {
    fn read() -> Self {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adamw.safetensors");
        Self { bytes: std::fs::read(path).unwrap() }
    }

    fn f32s(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        read_f32s(&self.bytes, name)
    }

    fn f64s(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (values, shape) = self.f32s(name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Slice `step` of a stack of gradients.
    fn gradient<const D: usize>(&self, name: &str, step: usize, device: &Device) -> Tensor<D> {
        let (values, shape) = self.f32s(&format!("gradient.{name}"));
        let length: usize = shape[1..].iter().product();
        let values = values[step * length..(step + 1) * length].to_vec();
        Tensor::from_data(TensorData::new(values, shape[1..].to_vec()), device)
    }
}

fn read_f32s(bytes: &[u8], name: &str) -> (Vec<f32>, Vec<usize>) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    (values, view.shape().to_vec())
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    found.iter().zip(expected).map(|(f, e)| (f - e).abs() / scale).fold(0.0, f32::max)
}

fn values<const D: usize>(tensor: &Param<Tensor<D>>) -> Vec<f32> {
    tensor.val().try_to_vec_as::<f32>().unwrap()
}

fn parameter<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), tensor.require_grad())
}

#[test]
fn twenty_steps_are_torchs() {
    let fixture = Fixture::read();
    let plain = Device::flex();
    let autodiff = Device::flex().autodiff();
    let mut module = Parameters {
        weight: parameter(fixture.tensor("initial.weight", &autodiff)),
        bias: parameter(fixture.tensor("initial.bias", &autodiff)),
        kernel: parameter(fixture.tensor("initial.kernel", &autodiff)),
    };
    let mut optimizer = AdamW::new(OptimizerConfig::default(), &module, &plain);
    let learning_rates = fixture.f64s("learning_rate");
    let beta_1s = fixture.f64s("beta_1");
    for step in 0..20 {
        let mut gradients = GradientsParams::new();
        gradients.register(module.weight.id, fixture.gradient::<2>("weight", step, &plain));
        gradients.register(module.bias.id, fixture.gradient::<1>("bias", step, &plain));
        gradients.register(module.kernel.id, fixture.gradient::<3>("kernel", step, &plain));
        let settings = StepSettings {
            learning_rate: learning_rates[step],
            beta_1: beta_1s[step],
            gradient_scale: 1.0,
        };
        module = optimizer.step(module, gradients, settings);

        let taken = step + 1;
        if [1, 2, 20].contains(&taken) {
            let state = optimizer.to_safetensors().unwrap();
            let checks = [
                ("weight", values(&module.weight)),
                ("bias", values(&module.bias)),
                ("kernel", values(&module.kernel)),
            ];
            for (name, found) in checks {
                let expected =
                    |what: &str| fixture.f32s(&format!("float32.after_{taken}.{what}.{name}")).0;
                let first = read_f32s(&state, &format!("exp_avg.{name}")).0;
                let second = read_f32s(&state, &format!("exp_avg_sq.{name}")).0;
                for (what, found) in
                    [("parameter", found), ("first_moment", first), ("second_moment", second)]
                {
                    let difference = largest_difference(&found, &expected(what));
                    assert!(difference < 1e-6, "{what} {name} after {taken}: {difference:e}");
                }
            }
        }
    }
    assert_eq!(optimizer.completed_steps(), 20);
}

fn linear_and_gradient(device: &Device) -> (Linear, Tensor<2>) {
    let linear = LinearConfig::new(4, 3).init(device);
    let gradient = Tensor::<2>::random([4, 3], Distribution::Normal(0.0, 1.0), &Device::flex());
    (linear, gradient)
}

fn gradient_of(linear: &Linear, gradient: &Tensor<2>) -> GradientsParams {
    let mut gradients = GradientsParams::new();
    gradients.register(linear.weight.id, gradient.clone());
    gradients
}

const SETTINGS: StepSettings =
    StepSettings { learning_rate: 1e-2, beta_1: 0.9, gradient_scale: 1.0 };

#[test]
fn five_steps_are_burns() {
    let (mut ours, gradient) = linear_and_gradient(&Device::flex().autodiff());
    let mut theirs = ours.clone();
    let mut adamw = AdamW::new(OptimizerConfig::default(), &ours, &Device::flex());
    let mut burns = AdamWConfig::new().with_epsilon(1e-6).with_weight_decay(0.01).init();
    for step in 1..=5 {
        let gradient = gradient.clone() * step as f32;
        ours = adamw.step(ours.clone(), gradient_of(&ours, &gradient), SETTINGS);
        let gradients = gradient_of(&theirs, &gradient);
        theirs = burns.step(1e-2, theirs, gradients);
    }
    assert!(largest_difference(&values(&ours.weight), &values(&theirs.weight)) < 1e-6);
}

#[test]
fn scaling_the_gradient_in_the_step_is_scaling_it_before() {
    let (module, gradient) = linear_and_gradient(&Device::flex().autodiff());
    let run = |gradient: Tensor<2>, gradient_scale: f64| {
        let mut optimizer = AdamW::new(OptimizerConfig::default(), &module, &Device::flex());
        let mut module = module.clone();
        for _ in 0..3 {
            let gradients = gradient_of(&module, &gradient);
            module = optimizer.step(module, gradients, StepSettings { gradient_scale, ..SETTINGS });
        }
        values(&module.weight)
    };
    assert!(largest_difference(&run(gradient.clone(), 0.25), &run(gradient * 0.25, 1.0)) < 1e-6);
}

#[test]
fn decay_spares_biases_and_norms_only_where_asked() {
    let device = Device::flex().autodiff();
    let decayed = |no_decay_on_bias_and_norm: bool| {
        let mut linear = LinearConfig::new(1, 2).init(&device);
        linear.weight = parameter(Tensor::ones([1, 2], &device));
        linear.bias = Some(parameter(Tensor::ones([2], &device)));
        let bias = linear.bias.as_ref().unwrap().id;
        let config =
            OptimizerConfig { no_decay_on_bias_and_norm, weight_decay: 0.5, ..Default::default() };
        let mut optimizer = AdamW::new(config, &linear, &Device::flex());
        let mut gradients = GradientsParams::new();
        gradients.register(linear.weight.id, Tensor::<2>::zeros([1, 2], &Device::flex()));
        gradients.register(bias, Tensor::<1>::zeros([2], &Device::flex()));
        let settings = StepSettings { learning_rate: 0.5, ..SETTINGS };
        let linear = optimizer.step(linear, gradients, settings);
        (values(&linear.weight), values(linear.bias.as_ref().unwrap()))
    };
    assert_eq!(decayed(false), (vec![0.75, 0.75], vec![0.75, 0.75]));
    assert_eq!(decayed(true), (vec![0.75, 0.75], vec![1.0, 1.0]));
}

#[test]
fn a_saved_state_goes_on_bit_for_bit_in_a_module_with_other_ids() {
    let device = Device::flex().autodiff();
    let (mut unbroken, gradient) = linear_and_gradient(&device);
    let config = OptimizerConfig::default();
    let mut optimizer = AdamW::new(config, &unbroken, &Device::flex());
    unbroken = optimizer.step(unbroken.clone(), gradient_of(&unbroken, &gradient), SETTINGS);

    let bytes = optimizer.to_safetensors().unwrap();
    let mut resumed = LinearConfig::new(4, 3).init(&device);
    resumed.weight = parameter(unbroken.weight.val().detach());
    let file = Path::new("optimizer.safetensors");
    let mut restored =
        AdamW::from_safetensors(config, &resumed, &Device::flex(), 1, &bytes, file).unwrap();

    unbroken = optimizer.step(unbroken.clone(), gradient_of(&unbroken, &gradient), SETTINGS);
    resumed = restored.step(resumed.clone(), gradient_of(&resumed, &gradient), SETTINGS);
    assert_eq!(values(&unbroken.weight), values(&resumed.weight));
    assert_eq!(optimizer.to_safetensors().unwrap(), restored.to_safetensors().unwrap());
}

#[test]
fn the_state_of_another_module_is_refused_by_name() {
    let config = OptimizerConfig::default();
    let plain = Device::flex();
    let load = |from: &Linear, into: &Linear| {
        let bytes = AdamW::new(config, from, &plain).to_safetensors().unwrap();
        let file = Path::new("optimizer.safetensors");
        AdamW::from_safetensors(config, into, &plain, 0, &bytes, file).map(|_| ()).unwrap_err()
    };
    let full = LinearConfig::new(4, 3).init(&plain);
    let without_bias = LinearConfig::new(4, 3).with_bias(false).init(&plain);
    let wider = LinearConfig::new(4, 5).init(&plain);
    for (error, part) in [
        (load(&without_bias, &full), "holds no `exp_avg.bias`"),
        (load(&full, &without_bias), "holds `exp_avg.bias`"),
        (load(&full, &wider), "but the model needs `F32` `[5]`"),
    ] {
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(part), "{error}");
    }
    let garbage = AdamW::from_safetensors(config, &full, &plain, 0, b"{}", Path::new("x"));
    assert_eq!(garbage.unwrap_err().exit_code(), 4);
}
