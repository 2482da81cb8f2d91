//! The file that is being sent.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use antiphon_client::file_message::DATA_BYTES;
use antiphon_client::{Delivery, Pace, Undelivered};
use tokio::time::Instant;

use super::durations::about;
use super::jobs::{Replies, Reply, SendProgress};

/// Messages under way: more than fill the conversation's window, and few to be lost if the receiver
/// has no room.
const MOST_UNDER_WAY: usize = 8;

/// Reason why a file is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendFileError {
    #[error("{source}: it should be a file that this user may read")]
    Read {
        #[from]
        source: io::Error,
    },
    #[error("it is no regular file: pipes and devices have no length to announce")]
    NotRegular,
    #[error(
        "{length} bytes are more than the {limit} that `largest_file_bytes` in the configuration \
         allows{}", time.map(|time| format!("; sending it would take at least {}", about(time)))
         .unwrap_or_default()
    )]
    TooLarge { length: u64, limit: u64, time: Option<Duration> },
    #[error("its name is not UTF-8")]
    Name,
}

/// A file, opened and measured.
pub(crate) struct Prepared {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) digest: [u8; 32],
    file: File,
}

impl Prepared {
    /// Opens the file at `path`, and reads it once for its digest.
    ///
    /// # Errors
    /// If it is no regular file of at most `limit` bytes that can be read.
    pub(super) fn open(path: &Path, limit: u64, pace: Option<Pace>) -> Result<Self, SendFileError> {
        // Asked before it is opened: opening a pipe waits for somebody to write.
        if !fs::metadata(path)?.is_file() {
            return Err(SendFileError::NotRegular);
        }
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > limit {
            let time = pace.map(|pace| least_time(length, pace));
            return Err(SendFileError::TooLarge { length, limit, time });
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(SendFileError::Name)?;
        let mut hasher = blake3::Hasher::new();
        // Of a file that grows meanwhile, what was announced.
        hasher.update_reader((&mut file).take(length))?;
        io::Seek::rewind(&mut file)?;
        Ok(Self { name: name.to_owned(), length, digest: *hasher.finalize().as_bytes(), file })
    }
}

/// The least time that so many bytes of a file take.
pub(super) fn least_time(bytes: u64, pace: Pace) -> Duration {
    pace.time_for(bytes.div_ceil(DATA_BYTES as u64), 1 + DATA_BYTES as u64)
}

/// Stage of a file on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for a conversation, or for the files before it.
    Queued,
    /// The partner has not said yet whether it takes it.
    Offered,
    /// The partner takes its bytes.
    Flowing,
    /// The partner has no room.
    Waiting(String),
}

pub(super) struct Outgoing {
    pub(super) number: u32,
    pub(super) replies: Replies,
    pub(super) prepared: Prepared,
    pub(super) stage: Stage,
    under_way: VecDeque<(Delivery, u64)>,
    read: u64,
    acknowledged: u64,
    /// When the partner first took bytes.
    flowing_since: Option<Instant>,
}

impl Outgoing {
    pub(super) fn new(prepared: Prepared, replies: Replies) -> Self {
        let under_way = VecDeque::new();
        let (read, acknowledged, flowing_since) = (0, 0, None);
        let stage = Stage::Queued;
        Self { number: 0, replies, prepared, stage, under_way, read, acknowledged, flowing_since }
    }

    pub(super) fn accepted(&mut self) {
        self.stage = Stage::Flowing;
        self.flowing_since.get_or_insert_with(Instant::now);
    }

    /// The bytes to send next, if there is something to send now.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let left = self.prepared.length - self.read;
        if self.stage != Stage::Flowing || left == 0 || self.under_way.len() >= MOST_UNDER_WAY {
            return Ok(None);
        }
        let mut data = vec![0; left.min(DATA_BYTES as u64) as usize];
        self.prepared.file.read_exact(&mut data)?;
        self.read += data.len() as u64;
        Ok(Some(data))
    }

    pub(super) fn sent(&mut self, delivery: Delivery, bytes: u64) {
        self.under_way.push_back((delivery, bytes));
    }

    /// Waits until the oldest message under way has arrived; for ever if there is none.
    pub(super) async fn delivered(&mut self) -> Result<(), Undelivered> {
        let Some((delivery, bytes)) = self.under_way.front_mut() else {
            return std::future::pending().await;
        };
        let delivered = delivery.await;
        match delivered {
            Ok(()) => {
                self.acknowledged += *bytes;
                self.under_way.pop_front();
            }
            // The conversation is over, which its receiving side says as well.
            Err(_) => self.under_way.clear(),
        }
        delivered
    }

    /// Progress of the file. `hindered` says why the conversation itself does not move.
    pub(super) fn progress(&self, pace: Option<Pace>, hindered: Option<String>) -> SendProgress {
        let left = self.prepared.length - self.acknowledged;
        // An estimate from what has passed, once something has; never below what the pace of rounds permits.
        let measured = self
            .flowing_since
            .filter(|_| self.acknowledged > 0)
            .map(|since| since.elapsed().mul_f64(left as f64 / self.acknowledged as f64));
        let time_left = pace.map(|pace| least_time(left, pace)).max(measured);
        // What hinders the conversation stands before the file's own stage: it is the reason.
        let (stage, moves) = match (&self.stage, hindered) {
            (Stage::Queued, None) => ("waiting for the files before it".to_owned(), false),
            (_, Some(hindered)) => (hindered, false),
            (Stage::Offered, None) => {
                ("offered; the partner has not answered yet".to_owned(), true)
            }
            (Stage::Flowing, None) if left == 0 => ("sent; the partner stores it".to_owned(), true),
            (Stage::Flowing, None) => ("sending".to_owned(), true),
            (Stage::Waiting(why), None) => (format!("the partner waits: {why}"), false),
        };
        SendProgress {
            stage,
            acknowledged: self.acknowledged,
            bytes: self.prepared.length,
            seconds_left: time_left.filter(|_| moves).map(|time| time.as_secs()),
        }
    }

    /// Tells the job's command how it stands.
    pub(super) fn tell(&self, pace: Option<Pace>, hindered: Option<String>) {
        self.replies.tell(Reply::Progress(self.progress(pace, hindered)));
    }
}
