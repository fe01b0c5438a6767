//! What is counted, in Prometheus' text format.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Upper bounds of times, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of rows.
const ROWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Upper bounds of tokens.
const TOKENS: &[f64] =
    &[16.0, 64.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16_384.0, 32_768.0, 65_536.0];

/// How values are spread.
struct Histogram {
    bounds: &'static [f64],
    /// Values up to each bound and above the one before; the last are above all.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn add(&mut self, value: f64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        self.counts[place] += 1;
        self.sum += value;
    }

    /// Its lines. `labels` are others' than `le`, each followed by a comma.
    fn write(&self, text: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        for (count, bound) in self.counts.iter().zip(self.bounds.iter().map(Some).chain([None])) {
            total += count;
            let bound = bound.map_or("+Inf".to_owned(), f64::to_string);
            line(text, &format!("{name}_bucket"), &format!("{labels}le=\"{bound}\""), total);
        }
        let labels = labels.trim_end_matches(',');
        line(text, &format!("{name}_sum"), labels, self.sum);
        line(text, &format!("{name}_count"), labels, total);
    }
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of one model.
pub(crate) struct ModelMetrics {
    /// As a label's value.
    name: String,
    batch_rows: Mutex<Histogram>,
    batch_tokens: Mutex<Histogram>,
    truncated: AtomicU64,
}

impl ModelMetrics {
    pub(crate) fn new(name: &str) -> Self {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        Self {
            name,
            batch_rows: Mutex::new(Histogram::new(ROWS)),
            batch_tokens: Mutex::new(Histogram::new(TOKENS)),
            truncated: AtomicU64::new(0),
        }
    }

    /// A batch is computed.
    pub(crate) fn batch(&self, rows: usize, tokens: usize) {
        locked(&self.batch_rows).add(rows as f64);
        locked(&self.batch_tokens).add(tokens as f64);
    }

    /// A text is cut. Returns whether it is the first.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated.fetch_add(1, Ordering::Relaxed) == 0
    }
}

/// Of the server.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    seconds: Mutex<BTreeMap<&'static str, Histogram>>,
    abandoned: AtomicU64,
    connections: AtomicUsize,
    refused: AtomicU64,
}

impl Metrics {
    /// A request begins.
    pub(crate) fn begin(&self, route: &'static str) -> Begun<'_> {
        Begun { metrics: self, route, since: Instant::now(), is_finished: false }
    }

    /// A connection begins; it ends when what is returned is dropped.
    pub(crate) fn connect(metrics: &Arc<Self>) -> Connected {
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(metrics))
    }

    /// A connection is refused.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, with the rows that wait for each model.
    pub(crate) fn render<'a>(
        &self,
        models: impl Iterator<Item = (&'a ModelMetrics, usize)>,
    ) -> String {
        let mut text = String::new();
        let name = "nystromformer_requests_total";
        head(&mut text, name, "counter", "Requests that were answered.");
        for ((route, code), count) in &*locked(&self.requests) {
            line(&mut text, name, &format!("route=\"{route}\",code=\"{code}\""), count);
        }
        let name = "nystromformer_request_seconds";
        head(&mut text, name, "histogram", "Time from the head of a request to its answer.");
        for (route, histogram) in &*locked(&self.seconds) {
            histogram.write(&mut text, name, &format!("route=\"{route}\","));
        }
        for (name, kind, help, value) in [
            (
                "nystromformer_abandoned_requests_total",
                "counter",
                "Requests whose client went before they were answered.",
                self.abandoned.load(Ordering::Relaxed),
            ),
            (
                "nystromformer_refused_connections_total",
                "counter",
                "Connections beyond the most.",
                self.refused.load(Ordering::Relaxed),
            ),
            (
                "nystromformer_connections",
                "gauge",
                "Connections that are open.",
                self.connections.load(Ordering::Relaxed) as u64,
            ),
        ] {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        let models: Vec<_> = models.collect();
        let mut of_models =
            |name, kind, help, write: &dyn Fn(&mut String, &ModelMetrics, usize)| {
                head(&mut text, name, kind, help);
                for (model, waiting) in &models {
                    write(&mut text, model, *waiting);
                }
            };
        let name = "nystromformer_queue_rows";
        of_models(name, "gauge", "Rows that wait for a model.", &|text, model, waiting| {
            line(text, name, &format!("model=\"{}\"", model.name), waiting);
        });
        let name = "nystromformer_batch_rows";
        of_models(name, "histogram", "Rows of a batch.", &|text, model, _| {
            let labels = format!("model=\"{}\",", model.name);
            locked(&model.batch_rows).write(text, name, &labels);
        });
        let name = "nystromformer_batch_tokens";
        of_models(name, "histogram", "Tokens of a batch.", &|text, model, _| {
            let labels = format!("model=\"{}\",", model.name);
            locked(&model.batch_tokens).write(text, name, &labels);
        });
        let name = "nystromformer_truncated_inputs_total";
        of_models(name, "counter", "Texts that were cut.", &|text, model, _| {
            let count = model.truncated.load(Ordering::Relaxed);
            line(text, name, &format!("model=\"{}\"", model.name), count);
        });
        text
    }
}

/// A request that is not answered yet.
pub(crate) struct Begun<'a> {
    metrics: &'a Metrics,
    route: &'static str,
    since: Instant,
    is_finished: bool,
}

impl Begun<'_> {
    /// It is answered with this code. Returns how long it took.
    pub(crate) fn finish(mut self, code: u16) -> Duration {
        self.is_finished = true;
        let took = self.since.elapsed();
        *locked(&self.metrics.requests).entry((self.route, code)).or_default() += 1;
        locked(&self.metrics.seconds)
            .entry(self.route)
            .or_insert_with(|| Histogram::new(SECONDS))
            .add(took.as_secs_f64());
        took
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.metrics.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A connection that is open.
pub(crate) struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let metrics = Arc::new(Metrics::default());
        let _open = Metrics::connect(&metrics);
        metrics.begin("/embed").finish(200);
        metrics.begin("/embed").finish(413);
        drop(metrics.begin("/embed"));
        let model = ModelMetrics::new("a\"b");
        model.batch(3, 17);
        model.batch(300, 1);
        assert!(model.truncated());
        assert!(!model.truncated());
        let text = metrics.render([(&model, 5)].into_iter());
        for expected in [
            "# TYPE nystromformer_requests_total counter",
            "nystromformer_requests_total{route=\"/embed\",code=\"200\"} 1",
            "nystromformer_requests_total{route=\"/embed\",code=\"413\"} 1",
            "nystromformer_request_seconds_bucket{route=\"/embed\",le=\"+Inf\"} 2",
            "nystromformer_request_seconds_count{route=\"/embed\"} 2",
            "nystromformer_abandoned_requests_total 1",
            "nystromformer_connections 1",
            "nystromformer_queue_rows{model=\"a\\\"b\"} 5",
            "nystromformer_batch_rows_bucket{model=\"a\\\"b\",le=\"2\"} 0",
            "nystromformer_batch_rows_bucket{model=\"a\\\"b\",le=\"4\"} 1",
            "nystromformer_batch_rows_bucket{model=\"a\\\"b\",le=\"256\"} 1",
            "nystromformer_batch_rows_bucket{model=\"a\\\"b\",le=\"+Inf\"} 2",
            "nystromformer_batch_rows_sum{model=\"a\\\"b\"} 303",
            "nystromformer_truncated_inputs_total{model=\"a\\\"b\"} 2",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} is not in\n{text}");
        }
        let names = text.lines().filter(|line| !line.starts_with('#'));
        assert!(names.clone().all(|line| line.starts_with("nystromformer_")));
        assert_eq!(names.filter(|line| line.contains("le=\"+Inf\"")).count(), 3);
    }
}
