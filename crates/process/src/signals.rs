//! Signals by which the system or a person asks the process to stop.

use std::io::{self, Write as _};
use std::process;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// The exit code of a process that was stopped before its job was done.
pub const INTERRUPTED: i32 = 3;

/// Time within which a second signal is the same one: `timeout` sends it to a process and to its group.
const SAME: Duration = Duration::from_millis(500);

/// Resolves at the first SIGTERM or SIGINT; the second one ends the process at once, with
/// [`INTERRUPTED`]. Listening starts with the call, not with the first poll.
///
/// # Errors
/// If the system does not let the process listen for signals.
pub fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        let asked = Instant::now();
        tokio::spawn(async move {
            loop {
                either(&mut terminate, &mut interrupt).await;
                if asked.elapsed() > SAME {
                    break;
                }
            }
            // Whether anybody reads it makes no difference.
            let _ = writeln!(io::stderr(), "error: stopped at once, as asked twice");
            process::exit(INTERRUPTED);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
