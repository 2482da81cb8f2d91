//! `antiphon sleep TIME`.

use std::time::Duration;

use antiphon_messenger::api::{Sleep, StatusView};
use clap::Args;

use super::DaemonError;
use super::ask::Daemon;
use super::place::PlaceArguments;
use crate::cli::json::JsonArguments;
use crate::client_command::durations;
use crate::exit::EXIT_CODES;

/// Leave rounds to the gateway for a while, so that this device may stand still
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Leave rounds to the gateway for a while, so that this device may stand still, in a network whose rounds beats follow. The \
daemon hands over what it would send in the rounds that open meanwhile, and is gone once the beats of the first of \
them begin, up to one round later: `antiphon status` says until when. Then it links again by itself and fetches all \
that came. Messages that are sent meanwhile wait until it is back.

It sleeps for whole rounds: twelve at most, and to the last but one of their epoch. Everybody sees that it sleeps, and for how \
long, so do it when you put the device away or at fixed times, and never because of what you wrote or read.

  antiphon sleep 10m
  antiphon sleep --end"
)]
pub(crate) struct SleepArguments {
    /// For how long, about, such as 90s, 45m or 8h
    #[arg(value_name = "TIME", value_parser = durations::parse, required_unless_present = "end")]
    time: Option<Duration>,
    /// Link again before the time, and fetch what has come
    #[arg(long, conflicts_with = "time")]
    end: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    json: JsonArguments,
}

/// Has a daemon sleep, or ends its sleep.
pub(crate) fn run(arguments: &SleepArguments) -> Result<(), DaemonError> {
    let SleepArguments { time, place, json, .. } = arguments;
    json.check()?;
    let daemon = Daemon::of(place)?;
    let (status, words): (StatusView, _) = match time {
        None => (daemon.post("/v1/wake", &(), &[])?, "links again\n".to_owned()),
        Some(time) => {
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            let status: StatusView = daemon.post("/v1/sleep", &Sleep { seconds }, &[])?;
            let interval = Duration::from_millis(status.interval_ms.unwrap_or_default().into());
            let within = durations::about(interval);
            (status, format!("sleeps within {within}: `antiphon status` says until when\n"))
        }
    };
    Ok(json.deliver(&status, &words)?)
}
