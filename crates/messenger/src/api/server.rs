//! The server: on loopback, and on a socket in the profile's folder.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_process::entropy::entropy;
use antiphon_process::kept_file::owners_only;
use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::routes::router;
use super::token::Token;
use crate::messenger::Messenger;

/// Connections at once, of both kinds.
const MOST_CONNECTIONS: usize = 64;
/// The longest head of a request, in bytes.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// Longest time that the head of a request may take.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Reason why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// An address that others can reach.
    #[error(
        "{0} can be reached from other machines: listen on 127.0.0.1 or [::1], and have others come through SSH"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}: is another program there?")]
    Bind {
        /// Address.
        address: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// A file in the profile's folder cannot be used.
    #[error(
        "cannot use {path}: {source} (a socket's path has to be shorter than about 100 letters)"
    )]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// A server that answers until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Files that tell where it is, removed with it.
    files: [PathBuf; 2],
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}

impl Server {
    /// The file of the token, in a profile's folder.
    pub fn token_file(folder: &Path) -> PathBuf {
        folder.join("token")
    }

    /// The socket, in a profile's folder.
    pub fn socket(folder: &Path) -> PathBuf {
        folder.join("socket")
    }

    /// The file with the server's URL, in a profile's folder.
    pub fn url_file(folder: &Path) -> PathBuf {
        folder.join("url")
    }

    /// Answers on `address`, a loopback one, and on a socket in the profile's folder, for whoever shows the token that lies
    /// there too. What an earlier run left there is removed: the caller holds the profile.
    ///
    /// # Errors
    /// If the address or a file cannot be used.
    pub async fn start(
        messenger: Arc<Messenger>,
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self, ApiError> {
        if !address.ip().is_loopback() {
            return Err(ApiError::NotLoopback(address));
        }
        let failed = |path: &Path, source| ApiError::File { path: path.to_owned(), source };
        let token = Self::token_file(folder);
        let token = Token::read_or_draw(&token, &mut entropy()).map_err(|e| failed(&token, e))?;
        let router = router(messenger, token);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ApiError::Bind { address, source })?;
        let bound = listener.local_addr().map_err(|source| ApiError::Bind { address, source })?;
        let (url, socket) = (Self::url_file(folder), Self::socket(folder));
        write_url(&url, bound).map_err(|source| failed(&url, source))?;
        let mut tasks = Vec::new();
        #[cfg(unix)]
        {
            let socket_listener = bind_socket(&socket).map_err(|source| failed(&socket, source))?;
            let (router, places) = (router.clone(), Arc::clone(&places));
            tasks.push(tokio::spawn(answer_all(socket_listener, router, places)));
        }
        tasks.push(tokio::spawn(answer_all(listener, router, places)));
        Ok(Self { address: bound, files: [url, socket], tasks })
    }

    /// The address that it answers on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn write_url(path: &Path, address: SocketAddr) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let options = owners_only(options.write(true).create(true).truncate(true));
    io::Write::write_all(&mut options.open(path)?, format!("http://{address}\n").as_bytes())
}

#[cfg(unix)]
fn bind_socket(path: &Path) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;

    let _ = fs::remove_file(path);
    let listener = tokio::net::UnixListener::bind(path)?;
    // Nobody else gets into the folder, whatever the mode was for a moment.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes connections and answers on each, so many at once; one beyond that is closed.
async fn answer_all(mut listener: impl Listener, router: Router, places: Arc<Semaphore>) {
    // Dropped with this task, and so are they.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let router = router.clone();
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_buf_size(MOST_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            // An error is the asker's, who notices.
            let _ = connection.await;
            drop(place);
        });
    }
}
