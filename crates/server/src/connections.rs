//! Connections: bounded in number, cut off where they are slow, and answered to the end when the server stops.

use std::{
    convert::Infallible,
    future::poll_fn,
    io::{Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    app::App, error::ApiError, metrics::Metrics, routes, server::BACKLOG, stream::TimedStream,
};

/// Bytes of a connection that are read ahead, and so the longest head of a request.
const BUFFER: usize = 64 << 10;

/// How long to wait where the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a server that stops waits for the first byte of a connection: a request may lie in it that nobody has looked at yet.
const GRACE: Duration = Duration::from_millis(50);

/// To a client whose head does not end.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n\
content-length: 90\r\n\r\n\
{\"error\":\"the request's head came too slowly (`--header-timeout`)\",\"error_type\":\"timeout\"}";

/// To a client beyond the most connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
retry-after: 1\r\ncontent-length: 80\r\n\r\n\
{\"error\":\"too many connections (`--max-connections`)\",\"error_type\":\"overloaded\"}";

/// Serves connections until the server is `stopping`, and then until all that was accepted is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let most = app.limits.max_connections.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
    let places = Arc::new(Semaphore::new(most));
    let later = stopping.clone();
    let admit = |stream: TcpStream| {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            app.metrics.refuse();
            refuse(stream);
            return;
        };
        let connection = connection(stream, Arc::clone(&app), router.clone(), later.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    };
    let mut has_told = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => admit(stream),
            // One that is gone again, or no more descriptors: either way the next may be had.
            Err(error) => {
                if !std::mem::replace(&mut has_told, true) {
                    tracing::warn!("cannot accept a connection: {error}; told once");
                }
                sleep(PAUSE).await;
            }
        }
    }
    // What the system has accepted for us is accepted. It is asked itself: the runtime may not have heard of it yet.
    if let Ok(listener) = listener.into_std() {
        let waiting = listener.incoming().take(BACKLOG as usize).map_while(Result::ok);
        for stream in waiting.filter(|stream| stream.set_nonblocking(true).is_ok()) {
            if let Ok(stream) = TcpStream::from_std(stream) {
                admit(stream);
            }
        }
    }
    // It is never closed.
    let _ = places.acquire_many(most as u32).await;
}

/// Ends when the server is to stop, or whoever could stop it is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means the same.
    let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
}

/// Says no, without waiting.
fn refuse(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    // Nothing is owed to it. What it has sent is read, for what is not would take the answer back.
    let _ = stream.write(TOO_MANY);
    let _ = stream.read(&mut [0; 4096]);
}

/// One connection, from its first request to its last.
async fn connection(
    stream: TcpStream,
    app: Arc<App>,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let _connected = Metrics::connect(&app.metrics);
    // Answers are written whole. Where this cannot be had they are only later.
    let _ = stream.set_nodelay(true);
    let has_read = Arc::new(AtomicBool::new(false));
    let limits = app.limits.clone();
    let stream = TimedStream::new(stream, limits.write_timeout, Arc::clone(&has_read));
    let service = service_fn(move |request| -> Answering {
        Box::pin(answer(Arc::clone(&app), router.clone(), request))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(&mut stopping) => {
            let first = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if has_read.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            match timeout(GRACE, first).await {
                Ok(Some(ended)) => ended,
                Ok(None) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    (&mut connection).await
                }
                Err(_) => return,
            }
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!("a connection ended: {error}");
    if error.is_timeout() {
        let parts = connection.into_parts();
        // Between two requests a client owes nothing, and is told nothing.
        if !parts.read_buf.is_empty() {
            parts.io.inner().write_at_once(TOO_SLOW);
        }
    }
}

/// An answer that is being made.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Answers a request, whatever happens, and counts it. Texts are not logged.
async fn answer(
    app: Arc<App>,
    router: Router,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let route = routes::label(request.uri().path());
    let begun = app.metrics.begin(route);
    let method = request.method().clone();
    let cors = app.cors.headers(&method, request.headers());
    // A length beside chunks is not seen here any more, and a proxy may have believed it: what follows is not answered.
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let request: Request = request.map(Body::new);
    let mut response = match caught(router.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(Panicked) => {
            tracing::error!("a request to {route} could not be answered; the server goes on");
            ApiError::fault().closing().into_response()
        }
    };
    response.headers_mut().extend(cors);
    if is_chunked {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let code = response.status().as_u16();
    let took = begun.finish(code);
    tracing::debug!("{method} {route}: {code} after {:.1} ms", took.as_secs_f64() * 1e3);
    Ok(response)
}

/// What a future came to that panicked.
#[derive(Debug, PartialEq, Eq)]
struct Panicked;

/// The output of `future`, or that it panicked.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = Box::pin(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_is_as_long_as_it_says() {
        for answer in [TOO_SLOW, TOO_MANY] {
            let answer = std::str::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
        }
    }

    #[test]
    fn a_panic_is_an_answer_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(caught(async { 3 })), Ok(3));
        assert_eq!(
            runtime.block_on(caught(async { panic!("on purpose") })),
            Err::<(), _>(Panicked)
        );
    }
}
