//! `antiphon drain`: a shard leaves at the next hand-over, without a round lost, and stays up.

use std::io;
use std::time::Duration;

use antiphon_process::signals::stop_requested;
use antiphon_shard::{Drain, Status};
use clap::Args;
use indicatif::ProgressBar;
use tokio::runtime;
use tokio::time::sleep;

use crate::cli::json::JsonArguments;
use crate::client_command::durations;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::network_status::{AdminUrl, FetchError, Method, fetch};
use crate::output::{OutputError, say};

/// Interval at which the shard is asked how far it is.
const EVERY: Duration = Duration::from_secs(1);

/// Have a shard leave at the next hand-over and stay up, so that it can be stopped at any time
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Have a shard leave at the next hand-over and stay up: it serves until an epoch without it has taken over, \
no round is lost, and nobody sits out. The command waits for that, some rounds long, and the shard can be \
stopped, moved or upgraded at any time after it. Asked again, it changes nothing.

A shard takes part again with --undo, or when it is started again. It is not drained where no epoch could \
come about without it: the reason is told, and it stays in the epoch. Without a link to the coordinator \
nobody can plan an epoch without it, and that is refused as well.

  antiphon drain http://127.0.0.1:9102
  antiphon drain http://127.0.0.1:9102 --undo"
)]
pub(crate) struct DrainArguments {
    /// The admin server of the shard
    #[arg(value_name = "URL")]
    shard: AdminUrl,
    /// Have it take part again, from the next hand-over on. Does not wait for that
    #[arg(long)]
    undo: bool,
    /// Wait no longer than this, such as 90s or 5m. The shard goes on leaving all the same
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = durations::parse)]
    timeout: Duration,
    #[command(flatten)]
    json: JsonArguments,
}

/// Reason why a shard is not drained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what {url} answers is no shard's status: {source}: is it a shard of this version?")]
    Nonsense { url: AdminUrl, source: serde_json::Error },
    #[error("not drained: no epoch could come about without this shard: {0}")]
    Needed(String),
    #[error("somebody has the shard take part again")]
    Undone,
    #[error("not drained within {}; it goes on leaving: {words}", durations::about(*.time))]
    TimedOut { time: Duration, words: String },
    #[error("interrupted before the shard was drained; it goes on leaving: {0}")]
    Interrupted(String),
    #[error("the system does not give what a command needs: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for DrainError {
    fn exit(&self) -> Exit {
        match self {
            Self::Interrupted(_) => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// Drains a shard, or has it take part again.
pub(crate) fn run(arguments: &DrainArguments) -> Result<(), DrainError> {
    arguments.json.check()?;
    let url = &arguments.shard;
    if arguments.undo {
        let status = ask(url, Method::Delete, "/drain")?;
        let text =
            format!("the shard takes part again from the next hand-over on; {}\n", status.words);
        return Ok(arguments.json.deliver(&status, &text)?);
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::new();
    let drained = runtime.block_on(async {
        // From here on Ctrl-C ends in words on how far it is.
        let stop = stop_requested()?;
        let first = ask(url, Method::Post, "/drain")?;
        let mut words = first.words.clone();
        tokio::select! {
            drained = wait(url, first, &progress, &mut words) => drained,
            () = stop => Err(DrainError::Interrupted(words)),
            () = sleep(arguments.timeout) => {
                Err(DrainError::TimedOut { time: arguments.timeout, words })
            }
        }
    });
    progress.clear();
    match drained {
        Ok(status) => {
            Ok(arguments.json.deliver(&status, "drained: it may be stopped at any time\n")?)
        }
        Err(error) => Err(error),
    }
}

/// Asks until the shard has left, and notes its words.
async fn wait(
    url: &AdminUrl,
    mut status: Status,
    progress: &Progress,
    words: &mut String,
) -> Result<Status, DrainError> {
    loop {
        match &status.drain {
            Drain::Drained => return Ok(status),
            Drain::Refused { why } => return Err(DrainError::Needed(why.clone())),
            // A shard that stops leaves as well.
            Drain::No if !status.stopping => return Err(DrainError::Undone),
            Drain::No | Drain::Leaving => {}
        }
        progress.show(&status.words, words);
        sleep(EVERY).await;
        status = ask(url, Method::Get, "/status")?;
    }
}

fn ask(url: &AdminUrl, method: Method, path: &str) -> Result<Status, DrainError> {
    let body = fetch(url, method, path)?;
    let nonsense = |source| DrainError::Nonsense { url: url.clone(), source };
    serde_json::from_str(&body).map_err(nonsense)
}

/// The shard's words on standard error: beside a spinner for a person, a line for each change elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    fn show(&self, news: &str, last: &mut String) {
        self.0.set_message(news.to_owned());
        if self.0.is_hidden() && (news != last || self.0.position() == 0) {
            say(news);
        }
        self.0.set_position(1);
        news.clone_into(last);
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}
