//! The bounds against the number of mixing hops, as a logarithmic plot.

use std::fmt::Write as _;

use antiphon_routing::MixingPopulation;

const HOPS: std::ops::RangeInclusive<u8> = 8..=24;
const DECADES: u8 = 18;
const LEFT: f64 = 60.0;
const TOP: f64 = 20.0;
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 324.0;

type Figure = fn(&MixingPopulation, u8) -> f64;

const CURVES: [(&str, &str, Figure); 4] = [
    ("#999999", "0.5 sqrt(M q^m), four times", second_moment),
    ("#cc6600", "Theorem 1, four times", |row, hops| 4.0 * row.one_onion(hops).proven),
    ("#0055aa", "Theorem 2", |row, hops| row.conversation(hops).proven),
    ("#66aadd", "conjectured: paired noise too", |row, hops| row.conversation(hops).conjectured),
];

fn second_moment(row: &MixingPopulation, hops: u8) -> f64 {
    let onions = row.onions as f64;
    let q = row.f.as_f64() + f64::from(row.honest_shards) / onions;
    2.0 * (onions * q.powi(i32::from(hops))).sqrt()
}

/// The plot for one network, as a whole SVG file.
pub(crate) fn svg(row: &MixingPopulation) -> String {
    let hops = f64::from(HOPS.end() - HOPS.start());
    let across = |m: u8| LEFT + WIDTH * f64::from(m - HOPS.start()) / hops;
    let down = |value: f64| TOP + HEIGHT * -value.log10() / f64::from(DECADES);
    let mut body = String::new();
    for decade in (0..=DECADES).step_by(3) {
        let y = down(10f64.powi(-i32::from(decade)));
        line(&mut body, (LEFT, y), (LEFT + WIDTH, y));
        text(&mut body, (8.0, y + 4.0), "#333333", &format!("1e-{decade}"));
    }
    for m in HOPS.step_by(2) {
        line(&mut body, (across(m), TOP), (across(m), TOP + HEIGHT));
        text(&mut body, (across(m) - 6.0, TOP + HEIGHT + 18.0), "#333333", &m.to_string());
    }
    let foot = "mixing hops m; delta_mix of a conversation a round, 5 shards at the default budget";
    text(&mut body, (LEFT, TOP + HEIGHT + 38.0), "#333333", foot);
    for (place, (colour, label, figure)) in CURVES.into_iter().enumerate() {
        let mut points = String::new();
        for m in HOPS {
            let floor = 10f64.powi(-i32::from(DECADES));
            let value = figure(row, m).clamp(floor, 1.0);
            let _ = write!(points, "{:.1},{:.1} ", across(m), down(value));
        }
        let _ = writeln!(
            body,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="2" points="{}"/>"#,
            points.trim_end()
        );
        text(&mut body, (LEFT + 12.0, TOP + HEIGHT - 66.0 + 18.0 * place as f64), colour, label);
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 400" font-family="sans-serif" font-size="12">
<rect width="560" height="400" fill="#ffffff"/>
{body}</svg>
"##
    )
}

fn line(body: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(body, r##"<path d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}" stroke="#dddddd"/>"##);
}

fn text(body: &mut String, (x, y): (f64, f64), colour: &str, words: &str) {
    let _ = writeln!(body, r#"<text x="{x:.1}" y="{y:.1}" fill="{colour}">{words}</text>"#);
}
