//! The limit on files and sockets that this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limit below which a server cannot hold the links that it is made for.
const FEW: u64 = 4096;

/// Number of files and sockets that may be open at once; `u64::MAX` if there is no limit.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the limit to what the system allows this process, and says so. Systems start processes with
/// a low one for the sake of programs that cannot deal with more.
pub fn raise() {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    // Some systems allow less than they say; then it stays as it was.
    let result = setrlimit(Resource::Nofile, raised);
    let now = limit();
    if now < FEW {
        tracing::warn!(
            limit = now,
            refused = result.is_err(),
            "few open files and sockets are allowed: raise the limit (ulimit -n, LimitNOFILE) to 65536"
        );
    } else {
        tracing::info!(limit = now, before = before.current, "open files and sockets");
    }
}
