//! The server: an address, models behind it, and an end in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::HeaderValue};
use burn::tensor::Device;
use tokio::{
    net::{TcpSocket, lookup_host},
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::{
    app::{App, threads},
    connections,
    cors::Cors,
    error::ServerError,
    limits::Limits,
    models::{ModelSource, Models, ServedModel},
    routes,
};

/// Threads that serve connections. Models are computed on threads of their own, and on all cores.
const CONNECTION_THREADS: usize = 2;

/// Connections that the system holds until they are accepted.
pub(crate) const BACKLOG: u32 = 1024;

/// For what is left of requests whose clients have gone.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How to end a server: what is accepted is answered, and nothing else is accepted.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// For a server that is not to end yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Ends it.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

/// An address that is taken, on which nothing is answered yet.
#[derive(Debug)]
pub struct Bound {
    runtime: Runtime,
    socket: TcpSocket,
}

impl Bound {
    /// Takes a port of a host. Port 0 is any that is free.
    ///
    /// # Errors
    /// If there is no such host, or the port is in use.
    pub fn new(host: &str, port: u16) -> Result<Self, ServerError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(CONNECTION_THREADS)
            // No more than may work at once: the program's allocator keeps for each what its longest text took.
            .max_blocking_threads(threads())
            .thread_name("connections")
            .enable_all()
            .build()
            .map_err(ServerError::Runtime)?;
        let bound = runtime.block_on(async {
            let mut last = None;
            for address in lookup_host((host, port)).await? {
                match bind(address) {
                    Ok(socket) => return Ok(socket),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()))
        });
        let listen = |source| ServerError::Listen { address: format!("{host}:{port}"), source };
        Ok(Self { socket: bound.map_err(listen)?, runtime })
    }

    /// Serves until it is stopped and all that was accepted is answered. `ready` is called with the address once requests are
    /// answered.
    ///
    /// # Errors
    /// If another has taken the address since.
    pub fn serve(
        self,
        service: Service,
        stop: &Stop,
        ready: impl FnOnce(SocketAddr, &Service),
    ) -> Result<(), ServerError> {
        let Self { runtime, socket } = self;
        let asked = socket.local_addr().map_err(ServerError::Runtime)?;
        let taken = |source| ServerError::Taken { address: asked, source };
        runtime.block_on(async {
            let listener = socket.listen(BACKLOG).map_err(taken)?;
            ready(listener.local_addr().map_err(taken)?, &service);
            let (app, router) = (Arc::clone(&service.app), service.router.clone());
            connections::serve(listener, app, router, stop.0.subscribe()).await;
            Ok::<(), ServerError>(())
        })?;
        runtime.shutdown_timeout(LAST_WORK);
        Ok(())
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a server before this one may not be forgotten by the system yet.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Models, and the routes that they answer.
pub struct Service {
    app: Arc<App>,
    router: Router,
}

/// Whether it is `*`, or `scheme://host[:port]` and nothing behind it, as browsers send it.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map_or("", |(_, host)| host);
    text == "*" || !host.is_empty() && !host.contains(['/', '?', '#', ' '])
}

impl Service {
    /// Loads `models`. Pages of `origins` may ask in a browser, beside the server's own; `*` is all of them.
    ///
    /// # Errors
    /// If a model cannot be read, or an origin cannot be written in a header.
    pub fn load(
        models: &[ModelSource],
        limits: Limits,
        origins: &[String],
        device: &Device,
    ) -> Result<Self, ServerError> {
        let origin = |origin: &String| {
            let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin(origin));
            value.ok_or_else(|| ServerError::Origin { origin: origin.clone() })
        };
        let cors = Cors::new(origins.iter().map(origin).collect::<Result<_, _>>()?);
        let models = Models::load(models, &limits, device)?;
        let app = Arc::new(App::new(limits, models, cors));
        let router = routes::router(Arc::clone(&app));
        Ok(Self { app, router })
    }

    /// Its models with the routes of each, and its limits with the flags that change them.
    pub fn described(&self) -> String {
        let of = |model: &Arc<ServedModel>| {
            let routes = routes::of_model(model).join(" ");
            format!("`{}` ({}) {routes}", model.name, model.architecture)
        };
        let models: Vec<String> = self.app.models.iter().map(of).collect();
        format!("{}; {}", models.join(", "), self.app.limits.described())
    }
}
