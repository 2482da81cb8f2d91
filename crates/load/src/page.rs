//! A report as a page: one HTML file that needs nothing else, and its plots as SVG.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_plot::{alone, escaped};

use crate::Report;
use crate::plots::{self, Plot};

/// The page's colours, light and dark.
const PAGE: &str = include_str!("../assets/page.css");

/// Reason for which a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The system refuses to write a file.
    #[error("{path}: {source}")]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Writes `report.html` and one SVG for each of its plots into `folder`, which is made if it is
/// missing. Returns the paths of all files.
///
/// # Errors
/// If a file cannot be written.
pub fn write_page(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, PageError> {
    make_folder(folder)?;
    let plots = plots::all(report);
    let mut written = Vec::new();
    let mut write = |name: String, content: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, content).map_err(failed(&path))?;
        written.push(path);
        Ok(())
    };
    write("report.html".to_owned(), page(report, &plots).as_bytes())?;
    for plot in &plots {
        let drawing = alone(plot.title, &plot.svg);
        write(format!("{}.svg", plot.name), drawing.as_bytes())?;
    }
    Ok(written)
}

/// Makes the folder that a report goes to, and finds out whether files can be written there: before a
/// run that takes long, say.
///
/// # Errors
/// If that cannot be.
pub fn make_folder(folder: &Path) -> Result<(), PageError> {
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let probe = folder.join(format!(".{}.part", std::process::id()));
    fs::write(&probe, "").and_then(|()| fs::remove_file(&probe)).map_err(failed(folder))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> PageError {
    let path = path.to_owned();
    move |source| PageError::Write { path, source }
}

fn page(report: &Report, plots: &[Plot]) -> String {
    let title = format!("{} clients, {} shards", report.clients, report.shards);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Antiphon load test: {title}</title>\n<style>\n{PAGE}</style>\n<main>\n\
         <h1>Antiphon load test</h1>\n<p>{}</p>\n",
        escaped(&opening(report))
    );
    page += "<dl class=\"figures\">\n";
    for (name, value) in figures(report) {
        // Writing to a string does not fail.
        let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(&value));
    }
    page += "</dl>\n";
    for plot in plots {
        let _ = writeln!(
            page,
            "<figure>\n<h2>{}</h2>\n{}\n<figcaption>{}</figcaption>\n</figure>",
            escaped(plot.title),
            plot.svg,
            escaped(&plot.about)
        );
    }
    page += &rounds(report);
    let made = &report.provenance;
    let _ = writeln!(
        page,
        "<p>Made by <code>{}</code>, version {}, {} seconds after 1970 began (UTC), on {} {} with {} \
         cores; seed {}.</p>",
        escaped(&made.command),
        made.version,
        made.started_unix_s,
        made.system,
        made.architecture,
        made.cores,
        report.seed
    );
    page += "</main>\n</html>\n";
    page
}

fn opening(report: &Report) -> String {
    format!(
        "{} simulated clients, {} of them talking in pairs, against {} shards{}: {} mixing hops, {} noise \
         onions in each round, bodies of {} bytes. {} rounds were measured after {} to warm up; clients \
         handed in their onions {}.",
        report.clients,
        report.talking,
        report.shards,
        if report.embedded { " in the same process" } else { " elsewhere" },
        report.hops,
        report.noise_per_round,
        report.body_bytes,
        report.rounds.len(),
        report.warmup,
        match report.arrivals {
            "at-once" => "as soon as it opened".to_owned(),
            pattern => format!("spread over it ({pattern})"),
        }
    )
}

fn figures(report: &Report) -> Vec<(&'static str, String)> {
    let seconds = |ms: f64| format!("{:.2} s", ms / 1000.0);
    let unknown = || "not known".to_owned();
    let latency = report.latency_ms;
    let mut figures = vec![
        ("median latency", latency.map_or_else(unknown, |found| seconds(found.p50))),
        ("slowest round", latency.map_or_else(unknown, |found| seconds(found.max))),
        ("rounds delivered", format!("{} of {}", report.delivered(), report.rounds.len())),
        ("messages lost", format!("{} of {}", report.lost_messages, report.messages)),
        (
            "times a client was late",
            format!("{}; not linked {}, refused {}", report.late, report.absent, report.refused),
        ),
        (
            "peeling, an onion and layer",
            report.peel_us_per_onion.map_or_else(unknown, |us| format!("{us:.1} µs")),
        ),
    ];
    if let Some(beats) = &report.beats {
        let cells = beats.latency_ms;
        figures.extend([
            ("median latency of cells", cells.map_or_else(unknown, |found| seconds(found.p50))),
            ("slowest cell", cells.map_or_else(unknown, |found| seconds(found.max))),
            (
                "beats",
                format!("{}, {:.1} s apart", beats.count, f64::from(beats.interval_ms) / 1000.0),
            ),
            ("cells lost", format!("{} of {}", beats.lost_cells, beats.cells)),
            (
                "an onion costs as much as",
                beats.onion_to_cell.map_or_else(unknown, |times| format!("{times:.0} cells")),
            ),
        ]);
    }
    figures
}

/// All rounds as a table.
fn rounds(report: &Report) -> String {
    let mut table =
        "<h2>Rounds</h2>\n<div class=\"scroll\"><table>\n<tr><th>round<th>outcome<th>latency\
                     <th>clients answered<th>late<th>messages<th>lost<th>onions<th>peeled</tr>\n"
            .to_owned();
    for round in &report.rounds {
        let latency = round.latency_ms.map_or("-".to_owned(), |ms| format!("{:.2} s", ms / 1000.0));
        let reason = round.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(
            table,
            "<tr><td>{}<td>{}{}<td>{latency}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            round.round,
            round.outcome.name(),
            escaped(&reason),
            round.answered,
            round.late,
            round.messages,
            round.lost_messages,
            round.user_onions + round.noise_onions,
            round.hop_operations
        );
    }
    table + "</table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_page_stands_alone_and_has_every_plot_also_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/on/the/way");
        let written = write_page(&sample(), &folder).unwrap();
        let page = fs::read_to_string(folder.join("report.html")).unwrap();
        assert_eq!(page.matches("<svg ").count(), 7);
        assert_eq!(page.matches("<figure>").count(), 7);
        for outside in ["src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
        assert!(page.contains("no batch from shard &lt;3&gt;"), "text is escaped");
        assert!(page.contains("12 of 14000000") && page.contains("16 cells"), "beats stand apart");
        for name in ["latency", "distribution", "cells", "phases", "cpu", "bytes", "memory"] {
            let svg = fs::read_to_string(folder.join(format!("{name}.svg"))).unwrap();
            assert!(svg.starts_with("<svg ") && svg.contains("<style>"), "{name}");
        }
        assert_eq!(written.len(), 8);
    }

    #[test]
    fn a_run_without_traces_or_delivered_rounds_has_a_page_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = sample();
        for round in &mut report.rounds {
            round.phases = None;
            round.latency_ms = None;
        }
        (report.latency_ms, report.client_latency_ms) = (None, None);
        (report.server_cpu_s, report.client_cpu_s, report.beats) = (None, None, None);
        write_page(&report, folder.path()).unwrap();
        assert!(!folder.path().join("phases.svg").exists());
        report.rounds.clear();
        write_page(&report, folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write_page(&sample(), &file.path().join("inside")).unwrap_err().to_string();
        assert!(error.contains("inside"), "{error}");
        let error = make_folder(file.path()).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
