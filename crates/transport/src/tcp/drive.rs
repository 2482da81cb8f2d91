//! The two tasks of a TCP link: one reads, one writes.

use std::future::poll_fn;
use std::io::{self, BufRead as _, IoSlice, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rustls::Connection as Tls;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::ends::Shared;
use super::record::{RECORD_BYTES, Record};
use super::streams::{Next, Violation};
use crate::close::{CloseReason, LinkLost};
use crate::limits::Limits;

/// Bytes read from the socket at once.
pub(super) const READ_BYTES: usize = 128 << 10;

/// Encrypted bytes collected before they are written to the socket, about.
const WRITE_BYTES: usize = 128 << 10;

/// How long to wait until the other side has taken the last words.
const LINGER: Duration = Duration::from_secs(2);

/// What the two tasks share.
struct Io {
    tcp: TcpStream,
    tls: Mutex<Tls>,
    shared: Arc<Shared>,
}

impl Io {
    fn tls(&self) -> MutexGuard<'_, Tls> {
        // Nothing panics while holding it.
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broke(&self, error: &io::Error) {
        self.shared.streams().end(LinkLost::Transport(error.to_string()), None);
    }
}

/// Starts the tasks of a link whose handshake is done. `unread` has arrived already.
pub(super) fn start(
    tcp: TcpStream,
    tls: Tls,
    unread: BytesMut,
    shared: Arc<Shared>,
    limits: &Limits,
) {
    let io = Arc::new(Io { tcp, tls: Mutex::new(tls), shared });
    tokio::spawn(receive(Arc::clone(&io), unread, limits.idle_timeout));
    tokio::spawn(send(io, limits.keep_alive));
}

// Reading.

async fn receive(io: Arc<Io>, mut unread: BytesMut, idle_timeout: Duration) {
    let mut arrivals = Arrivals::default();
    let mut ended = pin!(io.shared.closed());
    let mut alarm = pin!(sleep(idle_timeout));
    let mut heard = Instant::now();
    let lost = loop {
        let mut violated = false;
        let fed = feed(&mut io.tls(), &mut unread, &mut |chunk| {
            violated |= arrivals.take(chunk, &io.shared).is_err();
            chunk.len()
        });
        if violated {
            io.shared.streams().end(LinkLost::ByUs, Some(CloseReason::Protocol));
        }
        if let Err(error) = fed {
            break LinkLost::Transport(error.to_string());
        }
        tokio::select! {
            biased;
            _ = &mut ended => {
                // Closing with bytes unread would take the last words from the other side.
                let _ = timeout(LINGER, discard(&io.tcp, unread)).await;
                return;
            }
            read = read(&io.tcp, &mut unread) => match read {
                Ok(0) => break LinkLost::Transport("the other side hung up".to_owned()),
                Ok(_) => heard = Instant::now(),
                Err(error) => break LinkLost::Transport(error.to_string()),
            },
            // Set again only when it goes off: that is cheaper than at every read.
            () = alarm.as_mut() => {
                if heard.elapsed() >= idle_timeout {
                    break LinkLost::TimedOut;
                }
                alarm.as_mut().reset(heard + idle_timeout);
            }
        }
    };
    io.shared.streams().end(lost, None);
}

/// Reads what there is, at least one byte; 0 at the end.
pub(super) async fn read(tcp: &TcpStream, unread: &mut BytesMut) -> io::Result<usize> {
    // The rest of a record moves to the front, where there is room again: reads stay large.
    unread.reserve(READ_BYTES / 2);
    loop {
        tcp.readable().await?;
        match tcp.try_read_buf(unread) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn discard(tcp: &TcpStream, mut unread: BytesMut) {
    unread.clear();
    while matches!(read(tcp, &mut unread).await, Ok(1..)) {
        unread.clear();
    }
}

/// Decrypts `unread` and shows it to `taken` piece by piece, which says how much of it it takes.
/// Once it takes nothing, the rest stays where it is.
pub(super) fn feed(
    tls: &mut Tls,
    unread: &mut BytesMut,
    taken: &mut dyn FnMut(&[u8]) -> usize,
) -> Result<(), rustls::Error> {
    let mut rest = &unread[..];
    let mut full = false;
    loop {
        while let Ok(chunk) = tls.reader().fill_buf() {
            let count = if chunk.is_empty() { 0 } else { taken(chunk) };
            if count == 0 {
                full = !chunk.is_empty();
                break;
            }
            tls.reader().consume(count);
        }
        // It takes in one record at a time, and nothing after the other side's goodbye.
        if rest.is_empty() || full || !matches!(tls.read_tls(&mut rest), Ok(1..)) {
            break;
        }
        tls.process_new_packets()?;
    }
    let left = if full { rest.len() } else { 0 };
    if left == 0 {
        // Unlike advancing, this keeps all the room.
        unread.clear();
    } else {
        bytes::Buf::advance(unread, unread.len() - left);
    }
    Ok(())
}

/// What has arrived of the next record.
#[derive(Default)]
struct Arrivals {
    header: [u8; RECORD_BYTES],
    filled: usize,
    data: Option<Data>,
}

/// Bytes of a stream on their way.
struct Data {
    stream: u32,
    missing: usize,
    bytes: BytesMut,
}

impl Arrivals {
    fn take(&mut self, mut chunk: &[u8], shared: &Shared) -> Result<(), Violation> {
        let mut streams = shared.streams();
        while !chunk.is_empty() {
            if let Some(data) = &mut self.data {
                let (now, later) = chunk.split_at(data.missing.min(chunk.len()));
                data.bytes.extend_from_slice(now);
                data.missing -= now.len();
                chunk = later;
                if data.missing == 0
                    && let Some(Data { stream, bytes, .. }) = self.data.take()
                {
                    streams.arrived(stream, bytes);
                }
                continue;
            }
            let (now, later) = chunk.split_at((RECORD_BYTES - self.filled).min(chunk.len()));
            self.header[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            chunk = later;
            if self.filled < RECORD_BYTES {
                continue;
            }
            self.filled = 0;
            match Record::decode(self.header).ok_or(Violation)? {
                Record::Data { stream, len } => {
                    streams.expect(stream, len)?;
                    let missing = usize::try_from(len).map_err(|_| Violation)?;
                    let bytes = BytesMut::with_capacity(missing);
                    self.data = Some(Data { stream, missing, bytes });
                }
                record => streams.take(record)?,
            }
        }
        Ok(())
    }
}

// Writing.

async fn send(io: Arc<Io>, keep_alive: Option<Duration>) {
    let carried = carry(&io, keep_alive);
    let over = async {
        io.shared.closed().await;
        sleep(LINGER).await;
    };
    tokio::select! {
        result = carried => if let Err(error) = result { io.broke(&error) },
        () = over => {}
    }
    // Fails only if the connection is gone.
    let _ = socket2::SockRef::from(&io.tcp).shutdown(Shutdown::Write);
    io.shared.said.send_replace(true);
}

/// Writes what there is to write until the link is over, and a goodbye.
async fn carry(io: &Io, keep_alive: Option<Duration>) -> io::Result<()> {
    let mut alarm = pin!(sleep(keep_alive.unwrap_or_default()));
    let mut spoke = Instant::now();
    loop {
        // Small things go together.
        let several = tokio::select! {
            biased;
            several = poll_fn(|cx| io.shared.streams().poll_several(WRITE_BYTES, cx)) => several,
            () = alarm.as_mut(), if keep_alive.is_some() => {
                let interval = keep_alive.unwrap_or_default();
                let quiet = spoke.elapsed() >= interval;
                alarm.as_mut().reset(if quiet { Instant::now() } else { spoke } + interval);
                if !quiet {
                    continue;
                }
                vec![Next::Record(Record::Ping)]
            }
        };
        spoke = Instant::now();
        io.write(&several)?;
        io.flush().await?;
        // Bytes are let go when the system has them: their owners may be waiting for it.
        drop(several);
        if io.shared.streams().lost().is_some() {
            break;
        }
    }
    if let Some(reason) = io.shared.streams().farewell() {
        io.write(&[Next::Record(Record::Close { code: reason.number() })])?;
    }
    io.tls().send_close_notify();
    io.flush().await
}

impl Io {
    /// Encrypts things to send, in as few TLS records as they fit in.
    fn write(&self, several: &[Next]) -> io::Result<()> {
        let heads: Vec<_> = several.iter().map(Next::head).collect();
        let mut slices = Vec::with_capacity(2 * heads.len());
        for (next, head) in several.iter().zip(&heads) {
            slices.push(IoSlice::new(head));
            slices.extend(next.pieces().iter().map(|piece| IoSlice::new(piece)));
        }
        // All of it: the session's buffer has no limit, and this task sees to it that it stays
        // small.
        let mut left = &mut slices[..];
        let mut tls = self.tls();
        while !left.is_empty() {
            let written = tls.writer().write_vectored(left)?;
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    async fn flush(&self) -> io::Result<()> {
        loop {
            let written = write_tls(&self.tcp, &mut self.tls())?;
            match written {
                Written::All => return Ok(()),
                Written::Full => self.tcp.writable().await?,
            }
        }
    }
}

enum Written {
    All,
    Full,
}

fn write_tls(tcp: &TcpStream, tls: &mut Tls) -> io::Result<Written> {
    while tls.wants_write() {
        match tls.write_tls(&mut Socket(tcp)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Full),
            Err(error) => return Err(error),
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
        }
    }
    Ok(Written::All)
}

/// Writes what a session has to say, during its handshake.
pub(super) async fn flush(tcp: &TcpStream, tls: &mut Tls) -> io::Result<()> {
    while let Written::Full = write_tls(tcp, tls)? {
        tcp.writable().await?;
    }
    Ok(())
}

/// A socket that says so instead of waiting.
struct Socket<'a>(&'a TcpStream);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
