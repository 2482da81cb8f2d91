//! Logs: lines on standard error, as a filter lets them through that can be changed meanwhile.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Names of the crates that a filter may name. A name outside this list lets nothing through, which would
/// look like a network without a word to say.
pub type Crates = &'static [&'static str];

/// A filter of log lines: a level, and others for some modules.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter {
    text: String,
    targets: Targets,
}

impl LogFilter {
    /// Everything of `level` and above.
    pub fn of(level: LevelFilter) -> Self {
        Self { text: level.to_string(), targets: Targets::new().with_default(level) }
    }

    /// Reads a filter: levels, and modules of `crates` with a level, separated by commas.
    ///
    /// # Errors
    /// Names the part that is wrong, and says what would be right.
    pub fn parse(text: &str, crates: Crates) -> Result<Self, String> {
        let targets = text.split(',').map(str::trim).try_fold(Targets::new(), |filter, part| {
            match part.split_once('=') {
                None => Ok(filter.with_default(level(part)?)),
                Some((module, its)) => {
                    let module = known(module.trim(), crates)?;
                    Ok::<_, String>(filter.with_target(module, level(its.trim())?))
                }
            }
        })?;
        Ok(Self { text: text.to_owned(), targets })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    // Numbers parse as well, but say nothing to a reader.
    text.parse().ok().filter(|_| text.chars().all(char::is_alphabetic) && !text.is_empty()).ok_or_else(|| {
        format!("`{text}` is no level: give off, error, warn, info, debug or trace, or a module with one, such as antiphon_mix=debug,info")
    })
}

fn known(module: &str, crates: Crates) -> Result<&str, String> {
    let name = module.split("::").next().unwrap_or_default();
    if crates.contains(&name) {
        return Ok(module);
    }
    Err(format!("`{module}` is no module of this program: its crates are {}", crates.join(", ")))
}

/// The filter in force, to be shown and changed. Clones are the same one.
#[derive(Clone)]
pub struct LogLevel(Arc<InForce>);

struct InForce {
    crates: Crates,
    filter: Mutex<LogFilter>,
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

impl LogLevel {
    /// The filter in force, as it was written.
    pub fn filter(&self) -> String {
        self.0.filter.lock().unwrap_or_else(PoisonError::into_inner).to_string()
    }

    /// Puts another filter in its place.
    ///
    /// # Errors
    /// Names the part of it that is wrong. The one before stays.
    pub fn set(&self, text: &str) -> Result<(), String> {
        let filter = LogFilter::parse(text, self.0.crates)?;
        let mut kept = self.0.filter.lock().unwrap_or_else(PoisonError::into_inner);
        (self.0.apply)(filter.targets.clone());
        *kept = filter;
        drop(kept);
        // At a level that any filter but `off` and `error` lets through: who reads logs has to know.
        tracing::warn!(filter = text, "logging by another filter from now on");
        Ok(())
    }

    fn new(
        filter: LogFilter,
        crates: Crates,
        apply: impl Fn(Targets) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(InForce { crates, filter: Mutex::new(filter), apply: Box::new(apply) }))
    }

    /// A filter that no log goes by.
    #[cfg(all(test, feature = "admin"))]
    pub(crate) fn unheard(text: &str, crates: Crates) -> Self {
        let filter = LogFilter::parse(text, crates).unwrap_or_else(|error| panic!("{error}"));
        Self::new(filter, crates, |_| {})
    }
}

/// Starts logging the lines that `filter` lets through; `crates` are those that a filter set later may name.
/// A standard error that nobody reads any more is no reason to stop: lines that cannot be written are
/// dropped.
pub fn init(filter: LogFilter, crates: Crates, coloured: bool) -> LogLevel {
    let (subscriber, log_level) = subscriber(io::stderr, filter, crates, coloured);
    subscriber.init();
    log_level
}

fn subscriber<W>(
    writer: W,
    filter: LogFilter,
    crates: Crates,
    coloured: bool,
) -> (impl tracing::Subscriber + Send + Sync, LogLevel)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(coloured)
        .with_target(false)
        .log_internal_errors(false);
    let (targets, handle) = reload::Layer::new(filter.targets.clone());
    let apply = move |targets| {
        // Fails only when nothing logs any more.
        let _ = handle.reload(targets);
    };
    let subscriber = tracing_subscriber::registry().with(lines).with(targets);
    (subscriber, LogLevel::new(filter, crates, apply))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATES: Crates = &["antiphon_mix", "antiphon_process"];

    #[test]
    fn a_filter_has_levels_and_known_modules() {
        let expected = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("antiphon_mix::round", LevelFilter::DEBUG);
        let parsed = |text| LogFilter::parse(text, CRATES).unwrap();
        assert_eq!(parsed("antiphon_mix::round=debug, INFO").targets, expected);
        assert_eq!(parsed("off"), LogFilter::of(LevelFilter::OFF));
    }

    #[test]
    fn what_would_silence_all_logs_is_refused_by_name() {
        for (text, wrong) in [
            ("trcae", "`trcae`"),
            ("antiphon_mx=debug", "`antiphon_mx`"),
            ("info,antiphon_mix=dbug", "`dbug`"),
            ("antiphon_mix", "`antiphon_mix`"),
            ("", "``"),
            ("3", "`3`"),
        ] {
            let error = LogFilter::parse(text, CRATES).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn another_filter_is_gone_by_at_once() {
        let written = Written::default();
        let writer = written.clone();
        let filter = LogFilter::of(LevelFilter::INFO);
        let (subscriber, log_level) = subscriber(move || writer.clone(), filter, CRATES, false);
        tracing::subscriber::with_default(subscriber, || {
            for (filter, word) in [
                (None, "first"),
                (Some("warn,antiphon_process=debug"), "second"),
                (Some("antiphon_mix=trace,warn"), "third"),
                (Some("antiphon_mox=trace,info"), "fourth"),
            ] {
                let set = filter.map(|filter| log_level.set(filter));
                assert_eq!(set.is_some_and(|set| set.is_err()), word == "fourth");
                tracing::debug!("{word}");
            }
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let said = ["first", "second", "third", "fourth"].map(|word| text.contains(word));
        assert_eq!(said, [false, true, false, false], "{text}");
        assert_eq!(log_level.filter(), "antiphon_mix=trace,warn");
    }
}
