//! A real Prometheus beside a network: it scrapes it, evaluates the chart's rules, and answers the dashboard.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Watched;
use super::page::{ask, get};
use crate::process::DEADLINE;

const EVERY: Duration = Duration::from_secs(1);
/// How long the network is watched, unless the environment says otherwise.
const WATCHED: Duration = Duration::from_secs(6);

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program that `k8s/tools` installs; `None` if it is not there.
fn program() -> Option<PathBuf> {
    let asked = Command::new(project().join("k8s/tools")).arg("--where").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
    Some(folder.join("bin/prometheus")).filter(|program| program.exists())
}

/// A Prometheus that does not outlive its test.
struct Prometheus {
    child: Child,
    url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(program: &Path, here: &Path, admins: &[String]) -> Self {
        let rules = project().join("k8s/chart/antiphon/alerts/antiphon.yaml");
        let mut config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\n\
             scrape_configs:\n- job_name: antiphon\n  static_configs:\n",
            rules.canonicalize().unwrap().display()
        );
        for (number, admin) in admins.iter().enumerate() {
            let target = admin.strip_prefix("http://").unwrap();
            // Writing to a string does not fail.
            let _ = writeln!(
                config,
                "  - {{ targets: ['{target}'], labels: {{ namespace: mix, pod: pod-{number} }} }}"
            );
        }
        fs::write(here.join("prometheus.yaml"), config).unwrap();
        let port = crate::network::free_ports(1)[0];
        let log = fs::File::create(here.join("prometheus.log")).unwrap();
        let child = Command::new(program)
            .current_dir(here)
            .args([
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=prometheus",
                "--log.level=warn",
            ])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut started = Self { child, url: format!("http://127.0.0.1:{port}") };
        let deadline = Instant::now() + DEADLINE;
        while ask(&started.url, "/-/ready").is_none_or(|(status, _)| status != "200") {
            let log = fs::read_to_string(here.join("prometheus.log")).unwrap();
            assert!(
                started.child.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "{log}"
            );
            thread::sleep(Duration::from_millis(50));
        }
        started
    }

    /// What a query finds.
    fn query(&self, query: &str) -> Vec<Value> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let escaped: String = query
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
            .collect();
        let answer: Value =
            serde_json::from_str(&get(&self.url, &format!("/api/v1/query?query={escaped}")))
                .unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

/// The queries of the dashboard, of a network in one namespace.
fn queries_of_the_dashboard() -> Vec<String> {
    let text =
        fs::read_to_string(project().join("k8s/chart/antiphon/dashboards/antiphon.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let query = |target: &Value| {
        let query = target["expr"].as_str().unwrap();
        query.replace("$namespace", "mix").replace("$__rate_interval", "5s")
    };
    targets.map(query).collect()
}

#[test]
fn a_prometheus_scrapes_a_network_without_a_gap_and_answers_every_panel() {
    let Some(program) = program() else {
        eprintln!("skipped: `k8s/tools` has not installed Prometheus");
        return;
    };
    let watched = Watched::start();
    let prometheus = Prometheus::start(&program, watched.network.folder(), &watched.admins);
    // Some seconds go by before it knows its targets.
    let deadline = Instant::now() + DEADLINE;
    while prometheus.query("up{job=\"antiphon\"}").len() < watched.admins.len() {
        assert!(Instant::now() < deadline, "not every process is scraped");
        thread::sleep(Duration::from_millis(100));
    }
    let seconds = std::env::var("ANTIPHON_SCRAPE_SECONDS").ok().and_then(|text| text.parse().ok());
    let watch = seconds.map_or(WATCHED, Duration::from_secs);
    thread::sleep(watch);

    let scraped = prometheus.query("up{job=\"antiphon\"}[1h]");
    assert_eq!(scraped.len(), watched.admins.len(), "{scraped:?}");
    for target in &scraped {
        let samples = target["values"].as_array().unwrap();
        assert!(samples.iter().all(|sample| sample[1] == "1"), "a scrape failed: {target}");
        let times: Vec<_> = samples.iter().map(|sample| sample[0].as_f64().unwrap()).collect();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(gap < 2.0 * EVERY.as_secs_f64(), "{gap} s without a scrape");
        let expected = watch.as_secs_f64() / EVERY.as_secs_f64() - 1.0;
        assert!(times.len() as f64 >= expected, "scraped {} times in {watch:?}", times.len());
    }
    for query in queries_of_the_dashboard() {
        assert!(!prometheus.query(&query).is_empty(), "the dashboard shows nothing of {query}");
    }
    let rules: Value = serde_json::from_str(&get(&prometheus.url, "/api/v1/rules")).unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> =
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    let fires: Vec<_> = rules.iter().filter(|rule| rule["state"] == "firing").collect();
    assert!(fires.is_empty(), "a healthy network alerts: {fires:?}");
}
