//! What a thread spends its time on: spans that lie in each other, of a step's phases, of the model's parts, of kernels.
//!
//! Unless [`start`] was called a span costs one relaxed load of a number. From [`start`] to [`stop`] the spans of the calling
//! thread are kept, and of no other: a kernel's own threads are inside its span. Nothing that is computed depends on it.
//! Once so many are kept as [`start`] was told, further parts and kernels are counted alone; phases are few, and kept.
//!
//! A derivative runs long after the part of the model that it belongs to is left, so a kernel that is recorded for a backward pass takes
//! the part's name with it (`current_part`).

use std::{
    borrow::Cow,
    cell::RefCell,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

/// Threads that keep their spans.
static TRACING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// A span that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it was: a phase (`forward`), the path of a part (`encoder.layer.3.attention`), a kernel (`Linear`).
    pub name: Cow<'static, str>,
    /// Which of the three.
    pub kind: EventKind,
    /// When it began, in nanoseconds since the trace did.
    pub start: u64,
    /// How long it took, in nanoseconds.
    pub duration: u64,
}

/// What a span is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A phase of the program, with its number if it has one (a step).
    Phase(Option<usize>),
    /// A part of the model, forwards.
    Part,
    /// A kernel.
    Kernel {
        /// What of it ran.
        pass: Pass,
        /// The path of the part that called it; of a derivative the part that is differentiated. `None` outside of all.
        part: Option<Arc<str>>,
        /// The shapes of its tensors: its inputs; of a derivative the gradient that it starts from.
        shapes: Vec<Vec<usize>>,
    },
}

/// What of a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The output, and what the derivative will need.
    Forward,
    /// The output alone.
    Inference,
    /// The derivative.
    Backward,
    /// An update of weights.
    Update,
}

impl Pass {
    /// Its name in small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Inference => "inference",
            Self::Backward => "backward",
            Self::Update => "update",
        }
    }
}

struct Recorder {
    began: Instant,
    events: Vec<Event>,
    /// How many spans are kept before parts and kernels are left out.
    most: usize,
    left_out: usize,
    /// The names of the parts that are open, joined by points.
    path: String,
}

/// Begins to keep the spans of this thread, parts and kernels until there are `most`. What was kept before is forgotten.
pub fn start(most: usize) {
    let (events, path) = (Vec::new(), String::new());
    let fresh = Recorder { began: Instant::now(), events, most, left_out: 0, path };
    if RECORDER.replace(Some(fresh)).is_none() {
        TRACING.fetch_add(1, Ordering::Relaxed);
    }
}

/// The spans of this thread that ended since [`start`], in the order in which they did; none without it. No more are kept.
pub fn stop() -> Vec<Event> {
    let Some(recorder) = RECORDER.take() else { return Vec::new() };
    TRACING.fetch_sub(1, Ordering::Relaxed);
    recorder.events
}

/// How many parts and kernels ended since [`start`] and were not kept; above 0 the trace is full.
pub fn left_out() -> usize {
    RECORDER.with_borrow(|recorder| recorder.as_ref().map_or(0, |recorder| recorder.left_out))
}

/// A span: from where it was made to where it is dropped.
#[must_use = "it ends where it is dropped"]
#[derive(Debug)]
pub struct Span {
    open: Option<Open>,
    /// It ends on its own thread.
    _thread: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Open {
    name: Cow<'static, str>,
    kind: EventKind,
    start: Instant,
    /// How long the path of parts was before.
    path_length: usize,
}

/// A phase of the program.
pub fn phase(name: &'static str) -> Span {
    span(|_| (Cow::Borrowed(name), EventKind::Phase(None)))
}

/// The phase of this number.
pub fn numbered_phase(name: &'static str, number: usize) -> Span {
    span(|_| (Cow::Borrowed(name), EventKind::Phase(Some(number))))
}

/// A part of the model, inside of those that are open.
pub fn part(name: &'static str) -> Span {
    span(|path| {
        enter(path, name);
        (Cow::Owned(path.clone()), EventKind::Part)
    })
}

/// One of several parts of a name, e.g. `layer.3`.
pub fn numbered_part(name: &'static str, number: usize) -> Span {
    span(|path| {
        enter(path, name);
        enter(path, &number.to_string());
        (Cow::Owned(path.clone()), EventKind::Part)
    })
}

fn enter(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// The path of the part that is open; `None` outside of all, and where nothing is kept.
pub(crate) fn current_part() -> Option<Arc<str>> {
    if TRACING.load(Ordering::Relaxed) == 0 {
        return None;
    }
    RECORDER.with_borrow(|recorder| path_of(&recorder.as_ref()?.path))
}

fn path_of(path: &str) -> Option<Arc<str>> {
    (!path.is_empty()).then(|| Arc::from(path))
}

/// A kernel, in the part that is open.
pub(crate) fn kernel(
    name: &'static str,
    pass: Pass,
    shapes: impl FnOnce() -> Vec<Vec<usize>>,
) -> Span {
    span(|path| {
        let kind = EventKind::Kernel { pass, part: path_of(path), shapes: shapes() };
        (Cow::Borrowed(name), kind)
    })
}

/// The derivative of a kernel that was recorded in this part.
pub(crate) fn derivative(
    name: &'static str,
    part: Option<&Arc<str>>,
    shapes: impl FnOnce() -> Vec<Vec<usize>>,
) -> Span {
    span(|_| {
        let kind =
            EventKind::Kernel { pass: Pass::Backward, part: part.cloned(), shapes: shapes() };
        (Cow::Borrowed(name), kind)
    })
}

/// Opens a span, if this thread keeps any; `describe` may lengthen the path of parts.
fn span(describe: impl FnOnce(&mut String) -> (Cow<'static, str>, EventKind)) -> Span {
    let mut open = None;
    if TRACING.load(Ordering::Relaxed) > 0 {
        open = RECORDER.with_borrow_mut(|recorder| {
            let path = &mut recorder.as_mut()?.path;
            let path_length = path.len();
            let (name, kind) = describe(path);
            Some(Open { name, kind, start: Instant::now(), path_length })
        });
    }
    Span { open, _thread: PhantomData }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(Open { name, kind, start, path_length }) = self.open.take() else { return };
        RECORDER.with_borrow_mut(|recorder| {
            let Some(recorder) = recorder else { return };
            // A span of an earlier trace began before this one did.
            let Some(since) = start.checked_duration_since(recorder.began) else { return };
            let duration = start.elapsed().as_nanos() as u64;
            recorder.path.truncate(path_length);
            if recorder.events.len() >= recorder.most && !matches!(kind, EventKind::Phase(_)) {
                recorder.left_out += 1;
                return;
            }
            recorder.events.push(Event { name, kind, start: since.as_nanos() as u64, duration });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_in_each_other_and_kernels_know_their_part() {
        assert!(phase("before").open.is_none());
        start(usize::MAX);
        {
            let _step = numbered_phase("step", 7);
            let label = {
                let _encoder = part("encoder");
                let _layer = numbered_part("layer", 3);
                drop(kernel("Linear", Pass::Forward, || vec![vec![2, 3]]));
                current_part()
            };
            assert_eq!(current_part(), None);
            drop(derivative("Linear", label.as_ref(), Vec::new));
        }
        // Another thread keeps nothing.
        std::thread::spawn(|| {
            drop(phase("elsewhere"));
            assert_eq!(stop(), []);
        })
        .join()
        .unwrap();
        let events = stop();
        let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
        assert_eq!(names, ["Linear", "encoder.layer.3", "encoder", "Linear", "step"]);
        let part_of = |event: &Event| match &event.kind {
            EventKind::Kernel { part, .. } => part.as_deref().map(str::to_owned),
            _ => None,
        };
        for kernel in [0, 3] {
            assert_eq!(part_of(&events[kernel]).as_deref(), Some("encoder.layer.3"));
        }
        let end = |event: &Event| event.start + event.duration;
        for (inner, outer) in [(0, 1), (1, 2), (2, 4), (3, 4)] {
            let (inner, outer) = (&events[inner], &events[outer]);
            assert!(outer.start <= inner.start && end(inner) <= end(outer), "{inner:?} {outer:?}");
        }
        assert!(end(&events[2]) <= events[3].start);
        assert!(phase("after").open.is_none() && stop().is_empty());
    }

    #[test]
    fn a_span_that_outlives_its_trace_is_in_no_other() {
        start(usize::MAX);
        let old = part("old");
        start(usize::MAX);
        drop(old);
        drop(part("new"));
        let names: Vec<Event> = stop();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].name, "new");
        let unfinished = {
            start(usize::MAX);
            let unfinished = phase("unfinished");
            assert!(stop().is_empty());
            unfinished
        };
        drop(unfinished);
        assert!(stop().is_empty());
    }

    #[test]
    fn a_full_trace_keeps_phases_and_counts_what_it_leaves_out() {
        start(2);
        {
            let _evaluation = phase("evaluation");
            let _encoder = part("encoder");
            for number in 0..5 {
                let _layer = numbered_part("layer", number);
                assert_eq!(left_out(), number.saturating_sub(2));
            }
            assert_eq!(current_part().as_deref(), Some("encoder"));
        }
        // Three layers and the encoder.
        assert_eq!(left_out(), 4);
        let events = stop();
        let names: Vec<&str> = events.iter().map(|event| &*event.name).collect();
        assert_eq!(names, ["encoder.layer.0", "encoder.layer.1", "evaluation"]);
        assert_eq!(left_out(), 0);
    }
}
