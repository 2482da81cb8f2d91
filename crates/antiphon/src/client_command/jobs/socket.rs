//! The socket at which a client takes jobs, for its own user alone.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use super::{Job, Replies, Reply, Request};

/// Bytes of a line at most.
const MOST_LINE_BYTES: u64 = 64 << 10;
/// Commands connected at a time.
const MOST_COMMANDS: usize = 64;
/// Pause after the system did not give a connection.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Reason why jobs cannot be taken or handed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error(
        "cannot take jobs at {path}: {source}: the folder has to be writable and the path shorter than \
         about 100 letters; `socket` in the configuration names another one"
    )]
    Bind { path: PathBuf, source: io::Error },
    #[error(
        "no client runs with this configuration: start `antiphon client --config FILE` and leave it \
         running ({path}: {source})"
    )]
    NobodyThere { path: PathBuf, source: io::Error },
    #[error("the client stopped before it answered")]
    Stopped,
    #[error("the client answers what makes no sense: is it of another version?")]
    Nonsense,
}

/// The running client's side. Removed with this.
pub(in super::super) struct JobSocket {
    path: PathBuf,
}

impl Drop for JobSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl JobSocket {
    /// Takes jobs at `path` from now on. What an earlier run left there is removed: the caller holds
    /// the state file, so no other client uses the path.
    pub(in super::super) fn open(
        path: PathBuf,
        jobs: mpsc::Sender<Job>,
    ) -> Result<Self, SocketError> {
        let _ = fs::remove_file(&path);
        let failed = |source| SocketError::Bind { path: path.clone(), source };
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = fs::metadata(&path).map_err(failed)?.uid();
        tokio::spawn(accept(listener, owner, jobs));
        Ok(Self { path })
    }
}

async fn accept(listener: UnixListener, owner: u32, jobs: mpsc::Sender<Job>) {
    let places = Arc::new(Semaphore::new(MOST_COMMANDS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: a pause, or this loop would take a core.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let known = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
        // Beyond the limit a command finds its stream closed; it does not queue.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        if known {
            let jobs = jobs.clone();
            tokio::spawn(async move {
                serve(stream, jobs).await;
                drop(place);
            });
        }
    }
}

/// One command, from its request to the last answer or until it goes.
async fn serve(stream: UnixStream, jobs: mpsc::Sender<Job>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let Some(request) = read_line::<Request>(&mut read).await else { return };
    let (replies, mut answers) = Replies::new();
    if jobs.send(Job { request, replies }).await.is_err() {
        return;
    }
    let mut rest = [0; 1];
    loop {
        tokio::select! {
            answer = answers.recv() => match answer {
                Some(answer) if write_line(&mut write, &answer).await.is_ok() => {}
                _ => return,
            },
            // A command says nothing more until it closes.
            _ = read.read(&mut rest) => return,
        }
    }
}

/// A command's end of the line to a running client.
pub(in super::super) struct JobLine {
    read: BufReader<OwnedReadHalf>,
    /// Closing it takes the job back.
    _write: OwnedWriteHalf,
}

impl JobLine {
    /// Hands a job to the client at `path`.
    pub(in super::super) async fn hand_in(
        path: &Path,
        request: &Request,
    ) -> Result<Self, SocketError> {
        let nobody = |source| SocketError::NobodyThere { path: path.to_owned(), source };
        let (read, mut write) = UnixStream::connect(path).await.map_err(nobody)?.into_split();
        write_line(&mut write, request).await.map_err(nobody)?;
        Ok(Self { read: BufReader::new(read), _write: write })
    }

    /// The next answer, which takes as long as the job does.
    pub(in super::super) async fn answer(&mut self) -> Result<Reply, SocketError> {
        let mut line = Vec::new();
        let read = (&mut self.read).take(MOST_LINE_BYTES).read_until(b'\n', &mut line).await;
        match read {
            Ok(0) | Err(_) => Err(SocketError::Stopped),
            Ok(_) => serde_json::from_slice(&line).map_err(|_| SocketError::Nonsense),
        }
    }
}

async fn read_line<T: DeserializeOwned>(read: &mut BufReader<OwnedReadHalf>) -> Option<T> {
    let mut line = Vec::new();
    read.take(MOST_LINE_BYTES).read_until(b'\n', &mut line).await.ok()?;
    serde_json::from_slice(&line).ok()
}

async fn write_line(write: &mut OwnedWriteHalf, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    write.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_answered_until_its_command_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (jobs, mut taken) = mpsc::channel(1);
        fs::write(&path, "left by a crash").unwrap();
        let socket = JobSocket::open(path.clone(), jobs).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let request = Request::Allow { units: 3, aborts: 0 };
        let mut line = JobLine::hand_in(&path, &request).await.unwrap();
        let job = taken.recv().await.unwrap();
        assert!(matches!(job.request, Request::Allow { units: 3, aborts: 0 }));
        job.replies.tell(Reply::Allowed);
        assert!(matches!(line.answer().await, Ok(Reply::Allowed)));
        assert!(!job.replies.is_gone());
        drop(line);
        job.replies.closed().await;

        // What is no request is not passed on.
        let stream = UnixStream::connect(&path).await.unwrap();
        let (read, mut write) = stream.into_split();
        write.write_all(b"{\"send\":3}\n").await.unwrap();
        assert!(read_line::<Reply>(&mut BufReader::new(read)).await.is_none());
        assert!(taken.try_recv().is_err());

        drop(socket);
        assert!(matches!(
            JobLine::hand_in(&path, &request).await,
            Err(SocketError::NobodyThere { .. })
        ));
    }
}
