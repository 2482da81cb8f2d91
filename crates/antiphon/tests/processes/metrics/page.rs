//! A page of metrics as Prometheus reads it, strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::process::DEADLINE;

/// What a process serves.
pub(crate) struct Page {
    /// Kinds by name.
    pub(super) kinds: BTreeMap<String, String>,
    /// Explanations by name.
    pub(super) helps: BTreeMap<String, String>,
    /// Time series: names with labels.
    pub(super) series: BTreeSet<String>,
    values: Vec<(String, f64)>,
}

impl Page {
    /// Asks a process.
    pub(crate) fn of(admin: &str) -> Self {
        let text = get(admin, "/metrics");
        let mut page = Self {
            kinds: BTreeMap::new(),
            helps: BTreeMap::new(),
            series: BTreeSet::new(),
            values: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (series, value) = match line.strip_prefix("# ") {
                Some(comment) => {
                    page.comment(comment);
                    continue;
                }
                None => line.rsplit_once(' ').unwrap(),
            };
            assert!(page.series.insert(series.to_owned()), "{series} twice");
            page.values.push((series.to_owned(), value.parse().unwrap()));
        }
        page
    }

    fn comment(&mut self, comment: &str) {
        let mut words = comment.splitn(3, ' ');
        let mut word = || words.next().unwrap().to_owned();
        let (what, name, text) = (word(), word(), word());
        let known = match what.as_str() {
            "TYPE" => self.kinds.insert(name, text),
            "HELP" => self.helps.insert(name, text),
            _ => panic!("{comment}"),
        };
        assert_eq!(known, None, "{comment}");
    }

    /// The value of a time series.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| name == series).map(|(_, value)| *value)
    }

    /// The sum of the sizes of a metric's values; of a histogram, how many there are.
    pub(super) fn total(&self, metric: &str) -> f64 {
        let is_of = |series: &str| {
            let name = series.split('{').next().unwrap();
            name == metric || name.strip_suffix("_count") == Some(metric)
        };
        self.values.iter().filter(|(series, _)| is_of(series)).map(|(_, value)| value.abs()).sum()
    }
}

/// The time series of a metric of the catalogue.
pub(super) fn series(metric: &Value) -> Vec<String> {
    let name = metric["name"].as_str().unwrap();
    let mut labels = vec![Vec::new()];
    for label in metric["labels"].as_array().unwrap() {
        let of = |value: &Value| format!("{}={value}", label["name"].as_str().unwrap());
        let values: Vec<_> = label["values"].as_array().unwrap().iter().map(of).collect();
        let with = |before: &Vec<String>| {
            values
                .iter()
                .map(|value| [before.as_slice(), std::slice::from_ref(value)].concat())
                .collect::<Vec<_>>()
        };
        labels = labels.iter().flat_map(with).collect();
    }
    labels.iter().flat_map(|labels| of_labels(name, labels, &metric["buckets"])).collect()
}

fn of_labels(name: &str, labels: &[String], buckets: &Value) -> Vec<String> {
    let shown = |name: &str, labels: &[String]| match labels {
        [] => name.to_owned(),
        labels => format!("{name}{{{}}}", labels.join(",")),
    };
    let buckets = buckets.as_array().unwrap();
    if buckets.is_empty() {
        return vec![shown(name, labels)];
    }
    let bounds = buckets.iter().map(|bound| bound.as_f64().unwrap().to_string());
    let bucket = |bound: String| {
        let labels = [labels, &[format!("le=\"{bound}\"")]].concat();
        shown(&format!("{name}_bucket"), &labels)
    };
    bounds
        .chain(["+Inf".to_owned()])
        .map(bucket)
        .chain(["sum", "count"].map(|part| shown(&format!("{name}_{part}"), labels)))
        .collect()
}

/// The body of an answer over HTTP; the test fails if it is not 200.
pub(super) fn get(server: &str, path: &str) -> String {
    let (status, body) = ask(server, path).unwrap();
    assert_eq!(status, "200", "{path}: {body}");
    body
}

/// Status and body of an answer over HTTP; `None` if nobody listens.
pub(super) fn ask(server: &str, path: &str) -> Option<(String, String)> {
    let address = server.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Some((head.split(' ').nth(1).unwrap().to_owned(), body.to_owned()))
}
