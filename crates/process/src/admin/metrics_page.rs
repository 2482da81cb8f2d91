//! The metrics of this process as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::AdminError;

/// The upper bounds of a histogram's buckets, by the metric's full name.
pub type Buckets = (&'static str, &'static [f64]);

/// Collects this process's metrics and shows them. Clones show the same.
#[derive(Clone)]
pub struct MetricsPage(Arc<Collector>);

impl MetricsPage {
    /// Collects metrics from now on. Histograms have the buckets given for their names; a histogram
    /// without any shows count and sum.
    ///
    /// # Errors
    /// If something collects this process's metrics already.
    pub fn install(buckets: &[Buckets]) -> Result<Self, AdminError> {
        let page = Self::of(buckets);
        metrics::set_global_recorder(page.0.clone())
            .map_err(|error| AdminError::Recorder(error.to_string()))?;
        Ok(page)
    }

    /// A page beside whatever collects this process's metrics.
    pub(super) fn of(buckets: &[Buckets]) -> Self {
        Self(Arc::new(Collector { buckets: buckets.to_vec(), kept: Mutex::default() }))
    }

    /// All metrics, in the text format 0.0.4: each name's description and kind, and then its values.
    pub fn render(&self) -> String {
        let kept = self.0.kept();
        let mut page = String::new();
        let mut last = "";
        // Keys are in the order of their names, so what belongs to one name is together.
        for (key, metric) in &kept.metrics {
            if key.name() != last {
                last = key.name();
                if let Some(help) = kept.help.get(last) {
                    page += &format!("# HELP {last} {help}\n");
                }
                page += &format!("# TYPE {last} {}\n", metric.kind());
            }
            metric.show(key, &mut page);
        }
        page
    }
}

/// What `metrics` hands counts and times to.
struct Collector {
    buckets: Vec<Buckets>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Descriptions by the metrics' names.
    help: BTreeMap<String, SharedString>,
    metrics: BTreeMap<Key, Metric>,
}

/// A name with certain labels.
#[derive(Clone)]
enum Metric {
    Counter(Arc<AtomicU64>),
    /// Holds the bits of a number with a fraction.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Distribution>),
}

impl Metric {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    fn show(&self, key: &Key, page: &mut String) {
        match self {
            Self::Counter(count) => line(page, key, "", None, count.load(Ordering::Relaxed) as f64),
            Self::Gauge(bits) => {
                line(page, key, "", None, f64::from_bits(bits.load(Ordering::Relaxed)));
            }
            Self::Histogram(distribution) => distribution.show(key, page),
        }
    }
}

/// Writes one value, with the upper bound of its bucket as its last label.
fn line(page: &mut String, key: &Key, suffix: &str, bound: Option<&str>, value: f64) {
    *page += &format!("{}{suffix}", key.name());
    let labels = key.labels().map(|label| (label.key(), label.value()));
    for (position, (name, label)) in labels.chain(bound.map(|bound| ("le", bound))).enumerate() {
        // Text in quotes is escaped by the same rules there as here.
        let _ = write!(page, "{}{name}={label:?}", if position == 0 { "{" } else { "," });
    }
    let end = if page.ends_with('"') { "}" } else { "" };
    let _ = writeln!(page, "{end} {value}");
}

/// Values counted in buckets.
struct Distribution {
    /// Upper bounds, ascending.
    bounds: &'static [f64],
    counts: Mutex<Counts>,
}

struct Counts {
    /// Values in each bucket, and at the end those above all bounds.
    each: Vec<u64>,
    sum: f64,
}

impl Distribution {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: Mutex::new(Counts { each: vec![0; bounds.len() + 1], sum: 0.0 }) }
    }

    /// A bucket shows all values up to its bound, so each includes those before it.
    fn show(&self, key: &Key, page: &mut String) {
        let counts = unpoisoned(&self.counts);
        let mut up_to = 0;
        let bounds = self.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&counts.each) {
            up_to += count;
            line(page, key, "_bucket", Some(&bound), up_to as f64);
        }
        line(page, key, "_sum", None, counts.sum);
        line(page, key, "_count", None, up_to as f64);
    }
}

impl HistogramFn for Distribution {
    fn record(&self, value: f64) {
        let mut counts = unpoisoned(&self.counts);
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        counts.each[bucket] += 1;
        counts.sum += value;
    }
}

/// A count is right whatever became of the thread that counted before.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        unpoisoned(&self.kept)
    }

    fn describe(&self, name: &KeyName, description: SharedString) {
        self.kept().help.insert(name.as_str().to_owned(), description);
    }

    /// The metric of a key, which `new` makes if it is the first time.
    fn metric(&self, key: &Key, new: impl FnOnce() -> Metric) -> Metric {
        let mut kept = self.kept();
        if let Some(metric) = kept.metrics.get(key) {
            return metric.clone();
        }
        kept.metrics.entry(key.clone()).or_insert_with(new).clone()
    }

    fn bounds(&self, name: &str) -> &'static [f64] {
        self.buckets.iter().find(|(of, _)| *of == name).map_or(&[], |(_, bounds)| bounds)
    }
}

/// A name that is used for two kinds keeps the first: the other's values are counted nowhere.
impl Recorder for Collector {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.metric(key, || Metric::Counter(Arc::default())) {
            Metric::Counter(count) => Counter::from_arc(count),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.metric(key, || Metric::Gauge(Arc::default())) {
            Metric::Gauge(bits) => Gauge::from_arc(bits),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let new = || Metric::Histogram(Arc::new(Distribution::new(self.bounds(key.name()))));
        match self.metric(key, new) {
            Metric::Histogram(distribution) => Histogram::from_arc(distribution),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let page = MetricsPage::of(&[("took_seconds", &[0.5, 2.0])]);
        with_local_recorder(&page.0, || {
            describe_counter!("rounds_total", "Rounds that ended");
            counter!("rounds_total", "outcome" => "b", "why" => "\"c\"").increment(2);
            counter!("rounds_total", "outcome" => "a").increment(1);
            counter!("rounds_total", "outcome" => "a").absolute(7);
            gauge!("links").set(2.5);
            for seconds in [0.25, 0.5, 1.0, 4.0] {
                histogram!("took_seconds", "phase" => "wait").record(seconds);
            }
            histogram!("unbounded").record(3.0);
            // Of another kind than before.
            gauge!("rounds_total", "outcome" => "a").set(1.0);
        });
        let shown = "\
# TYPE links gauge
links 2.5
# HELP rounds_total Rounds that ended
# TYPE rounds_total counter
rounds_total{outcome=\"a\"} 7
rounds_total{outcome=\"b\",why=\"\\\"c\\\"\"} 2
# TYPE took_seconds histogram
took_seconds_bucket{phase=\"wait\",le=\"0.5\"} 2
took_seconds_bucket{phase=\"wait\",le=\"2\"} 3
took_seconds_bucket{phase=\"wait\",le=\"+Inf\"} 4
took_seconds_sum{phase=\"wait\"} 5.75
took_seconds_count{phase=\"wait\"} 4
# TYPE unbounded histogram
unbounded_bucket{le=\"+Inf\"} 1
unbounded_sum 3
unbounded_count 1
";
        assert_eq!(page.render(), shown);
    }
}
