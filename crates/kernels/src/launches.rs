//! What a GPU is asked to do: the kernels that are launched, by name, and the reads that the program waits for.
//!
//! Under all of Burn's GPU backends is CubeCL, which tells of each launch (`LaunchObserver`): of one that is issued, when it is. Of a read-back it tells
//! nobody. But wgpu, under its backends for Vulkan, Metal and WebGPU, logs each buffer that is mapped to be read, and nothing of a step maps one for another
//! reason; so there reads are counted by that line of the log, and on CUDA and ROCm they are not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn_cubecl::cubecl::{
    config::{TypeNameFormatLevel, type_name_format},
    logging::{LaunchObservation, LaunchObserver},
};
use log::{LevelFilter, Log, Metadata, Record};

/// A product of matrices has a dozen parameters.
const LONGEST_NAME: usize = 60;

/// Kernels launched and buffers read back in some time, by the whole process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launches {
    /// How often each kernel was launched, by the short name of its type.
    pub kernels: BTreeMap<String, usize>,
    /// Buffers of a wgpu device that were read back. `None` where the program has a logger of its own, so that wgpu's is not heard.
    pub read_backs: Option<usize>,
}

impl Launches {
    /// Launches of all kernels.
    pub fn total(&self) -> usize {
        self.kernels.values().sum()
    }
}

/// Counts until it is dropped. Only one counts at a time: another waits until it can begin.
#[derive(Debug)]
pub struct LaunchCounter {
    counts: Arc<Counts>,
    /// wgpu's log is heard.
    hears_reads: bool,
    level_before: LevelFilter,
    _watching: LaunchObservation,
    _alone: MutexGuard<'static, ()>,
}

impl LaunchCounter {
    /// Begins to count. Kernels that a device compiles and tunes at their first launch are launched for that too: take a step before.
    pub fn start() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let hears_reads = ReadLog::is_installed();
        let level_before = log::max_level();
        if hears_reads {
            log::set_max_level(LevelFilter::Trace);
        }
        READS.store(0, Ordering::Relaxed);
        let counts = Arc::new(Counts::default());
        let watching = LaunchObservation::new(counts.clone());
        Self { counts, hears_reads, level_before, _watching: watching, _alone: alone }
    }

    /// What there was since it began, or since this was last asked.
    pub fn take(&self) -> Launches {
        let mut kernels = BTreeMap::new();
        for (name, count) in std::mem::take(&mut *self.counts.lock()) {
            *kernels.entry(short_name(name)).or_default() += count;
        }
        let reads = READS.swap(0, Ordering::Relaxed);
        Launches { kernels, read_backs: self.hears_reads.then_some(reads) }
    }
}

/// A kernel's type without paths, and with its parameters where they are few.
fn short_name(name: &str) -> String {
    let [with_parameters, without] = [TypeNameFormatLevel::Balanced, TypeNameFormatLevel::Short]
        .map(|level| type_name_format(name, level));
    if with_parameters.len() <= LONGEST_NAME { with_parameters } else { without }
}

impl Drop for LaunchCounter {
    fn drop(&mut self) {
        if self.hears_reads {
            log::set_max_level(self.level_before);
        }
    }
}

/// Launches of each kernel, by the whole name of its type.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, usize>>);

impl Counts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaunchObserver for Counts {
    fn launched(&self, kernel: &'static str) {
        *self.lock().entry(kernel).or_default() += 1;
    }
}

/// Buffers that were mapped to be read.
static READS: AtomicUsize = AtomicUsize::new(0);

/// Where wgpu logs that a buffer is mapped.
const MAPS: &str = "wgpu_core::device::global";

/// What it says of one.
const MAPPED: &str = "Buffer::map_async ";

/// A logger that counts maps and keeps nothing.
struct ReadLog;

impl ReadLog {
    /// Makes it the process's logger, if there is none yet; says whether it is.
    fn is_installed() -> bool {
        static INSTALLED: OnceLock<bool> = OnceLock::new();
        *INSTALLED.get_or_init(|| log::set_logger(&Self).is_ok())
    }
}

impl Log for ReadLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == MAPS
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && record.args().to_string().starts_with(MAPPED) {
            READS.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_by_short_names_and_begin_anew_once_they_are_taken() {
        let counter = LaunchCounter::start();
        for name in ["a::b::One<f32>", "a::One<f32>", "c::Two"] {
            counter.counts.launched(name);
        }
        let of_wgpu = |text: &str, target: &str| {
            ReadLog.log(&Record::builder().args(format_args!("{text}")).target(target).build());
        };
        of_wgpu("Buffer::map_async Id(0,1) offset 0 size None", MAPS);
        of_wgpu("Device::create_buffer -> Id(0,1)", MAPS);
        of_wgpu("Buffer::map_async Id(0,1)", "another");
        let found = counter.take();
        let kernels = BTreeMap::from([("One | f32".to_owned(), 2), ("Two".to_owned(), 1)]);
        assert_eq!((found.kernels.clone(), found.total()), (kernels, 3));
        assert_eq!(found.read_backs, Some(1));
        assert_eq!(counter.take(), Launches { read_backs: Some(0), ..Launches::default() });
    }
}
