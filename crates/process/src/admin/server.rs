//! Connections to the admin server, bounded in number and time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use super::pages::{Pages, router, shown_router};
use super::{AdminError, MetricsPage};
use crate::config_file::AdminSection;
use crate::logging::LogLevel;
use crate::readiness::Readiness;
use crate::requests::Asker;

/// The longest head of a request, in bytes: the least that the HTTP server allows.
const MOST_HEAD_BYTES: usize = 8 << 10;
/// Longest time that the head of a request may take.
const HEAD_WITHIN: Duration = Duration::from_secs(1);
/// Longest time that a connection may last: its request, and its answer as fast as it is taken.
const CONNECTION_WITHIN: Duration = Duration::from_secs(5);
/// Connections served at once.
const AT_ONCE: usize = 16;
/// Pause when the system gives no more sockets.
const PAUSE: Duration = Duration::from_millis(100);
/// Interval at which old values of metrics are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// A bound admin server that does not answer yet.
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    /// For those who may see how the process stands, and change nothing.
    show: Option<TcpListener>,
    metrics: MetricsPage,
}

impl AdminServer {
    /// Listens on the addresses of the section. Warns if others than this machine may reach the one where things are changed.
    ///
    /// # Errors
    /// If an address cannot be used.
    pub async fn bind(section: AdminSection, metrics: MetricsPage) -> Result<Self, AdminError> {
        let (listener, address) = listen(section.listen).await?;
        let show = match section.show {
            Some(address) => {
                let (listener, address) = listen(address).await?;
                tracing::info!(%address, "how this process stands is shown over HTTP, and nothing can be changed");
                Some(listener)
            }
            None => None,
        };
        tracing::info!(%address, "admin pages are served over HTTP");
        if !address.ip().to_canonical().is_loopback() {
            tracing::warn!(
                %address,
                "whoever reaches `admin.listen` sees this process's metrics, sets what it logs and takes a shard \
                 out of epochs: let a firewall admit those alone who look after it, or listen on loopback"
            );
        }
        Ok(Self { listener, address, show, metrics })
    }

    /// The address at which things can be changed.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address at which they are only seen.
    pub fn shown_at(&self) -> Option<SocketAddr> {
        self.show.as_ref()?.local_addr().ok()
    }

    /// Answers until the returned task is aborted. Requests that the process itself answers go to `asker`.
    pub fn serve(
        self,
        readiness: watch::Receiver<Readiness>,
        log_level: LogLevel,
        asker: Asker,
    ) -> JoinHandle<()> {
        let Self { listener, show, metrics, .. } = self;
        let pages = Pages { metrics: metrics.clone(), readiness, log_level, asker };
        tokio::spawn(async move {
            let shown = async {
                if let Some(listener) = show {
                    answer_all(listener, shown_router(pages.clone())).await;
                }
            };
            tokio::join!(keep_up(metrics), answer_all(listener, router(pages.clone())), shown);
        })
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AdminError> {
    let failed = |source| AdminError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

async fn keep_up(metrics: MetricsPage) {
    let mut upkeep = interval(UPKEEP);
    loop {
        upkeep.tick().await;
        metrics.keep_up();
    }
}

async fn answer_all(listener: TcpListener, router: Router) {
    let mut connections: VecDeque<AbortOnDrop> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.retain(|task| !task.0.is_finished());
                // The oldest has said nothing for longest.
                if connections.len() >= AT_ONCE {
                    connections.pop_front();
                }
                connections.push_back(AbortOnDrop(tokio::spawn(answer(stream, router.clone()))));
            }
            // No descriptors are left: others will give theirs back.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Answers one request of a connection and closes it. Errors are not reported: they are the asker's, who
/// notices.
async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = timeout(CONNECTION_WITHIN, connection).await;
}

/// A connection that is served until this is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
