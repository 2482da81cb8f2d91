//! The metrics of every process. Those about the process itself have the names that all clients of Prometheus give
//! them.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use super::catalogue;
use super::labels::Version;
use crate::clock::SystemClock;

const BUILD: &str = "It is the same at every user's.";
const FROM_LOAD: &str = "It follows from the links held and the onions under way, which an onlooker counts, and all of them take the same.";

catalogue! {
    /// Everything that each process counts.
    PROCESS:
    BUILD_INFO: Gauge<Version> = "antiphon_build_info", "1",
        "1, with the program's version", BUILD;
    CPU: Counter<()> = "process_cpu_seconds_total", "seconds",
        "Computing time of the process, in whole seconds", FROM_LOAD;
    MEMORY: Gauge<()> = "process_resident_memory_bytes", "bytes",
        "Memory of the process that is in use", FROM_LOAD;
    DESCRIPTORS: Gauge<()> = "process_open_fds", "descriptors",
        "Files and sockets that are open", "Whoever watches its ports counts its links; files are a handful.";
    MOST_DESCRIPTORS: Gauge<()> = "process_max_fds", "descriptors",
        "Files and sockets that may be open", "It is a setting of the machine's.";
    STARTED: Gauge<()> = "process_start_time_seconds", "seconds",
        "When the process started, in seconds since 1970", "Links end when a process does.";
}

/// Sets what stays as it is while the process runs.
pub(super) fn begin() {
    BUILD_INFO.set(Version::This, 1.0);
    STARTED.set((), SystemClock::now().0 as f64 / 1000.0);
}

/// Reads what the process takes of its machine. Where the system does not say, the metric is not served.
pub(crate) fn measure() {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    CPU.take_over((), u64::try_from(time.tv_sec).unwrap_or_default());
    if let Some(kilobytes) = resident_kilobytes() {
        MEMORY.set((), kilobytes * 1024.0);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        DESCRIPTORS.set_count((), open.count());
    }
    MOST_DESCRIPTORS.set((), crate::descriptors::limit() as f64);
}

fn resident_kilobytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
