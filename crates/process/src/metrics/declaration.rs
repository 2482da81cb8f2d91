//! What is said of a metric, once.

use metrics::{KeyName, Label, Metadata, Recorder, SharedString, with_recorder};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises, until the process starts again.
    Counter,
    /// It rises and falls.
    Gauge,
    /// How many values were at most as large as each of some bounds.
    Histogram,
}

/// A label, and every value that it can have.
pub type LabelSet = (&'static str, &'static [&'static str]);

/// Everything that is said of a metric.
#[derive(Debug)]
pub struct Declaration {
    /// The name that it is shown under.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The noun that is counted, or the unit.
    pub unit: &'static str,
    /// Its labels, each with all of its values.
    pub labels: &'static [LabelSet],
    /// The upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
    /// What it means.
    pub meaning: &'static str,
    /// Why it tells nothing about users: who could count it as well.
    pub harmless: &'static str,
}

impl Kind {
    /// The kind as Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Declaration {
    /// The largest number of time series of this metric, where a histogram counts as one.
    pub fn series(&self) -> usize {
        self.labels.iter().map(|(_, values)| values.len()).product()
    }

    /// Describes the metric to whatever collects metrics, and begins counts and histograms at zero.
    pub(super) fn begin(&self) {
        with_recorder(|recorder| {
            self.describe(recorder);
            for labels in self.combinations() {
                let key = metrics::Key::from_parts(self.name, labels);
                match self.kind {
                    Kind::Counter => recorder.register_counter(&key, &METADATA).increment(0),
                    Kind::Histogram => drop(recorder.register_histogram(&key, &METADATA)),
                    // A value that nobody has read is no zero.
                    Kind::Gauge => {}
                }
            }
        });
    }

    fn describe(&self, recorder: &dyn Recorder) {
        let (name, text) =
            (KeyName::from_const_str(self.name), SharedString::const_str(self.meaning));
        match self.kind {
            Kind::Counter => recorder.describe_counter(name, None, text),
            Kind::Gauge => recorder.describe_gauge(name, None, text),
            Kind::Histogram => recorder.describe_histogram(name, None, text),
        }
    }

    /// Every combination of the labels' values.
    fn combinations(&self) -> Vec<Vec<Label>> {
        let mut made = vec![Vec::new()];
        for (name, values) in self.labels {
            let with = |labels: &Vec<Label>, value: &'static str| {
                let mut labels = labels.clone();
                labels.push(Label::from_static_parts(name, value));
                labels
            };
            made = made
                .iter()
                .flat_map(|labels| values.iter().map(|value| with(labels, value)))
                .collect();
        }
        made
    }
}

/// Whatever collects metrics may be told where they come from. It is not told more than this.
pub(super) const METADATA: Metadata<'static> =
    Metadata::new("antiphon", metrics::Level::INFO, None);
