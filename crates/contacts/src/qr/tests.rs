use super::*;
use crate::CODE_CHARACTERS;

fn qr() -> Qr {
    Qr::new(&"ANTIPHON1".repeat(CODE_CHARACTERS / 9 + 1).as_bytes()[..CODE_CHARACTERS]).unwrap()
}

/// The modules that characters of two above each other show.
fn modules(text: &str, inverted: bool) -> Vec<Vec<bool>> {
    let drawn = |line: &str, upper: bool| {
        let halves = if upper { ['\u{2588}', '\u{2580}'] } else { ['\u{2588}', '\u{2584}'] };
        line.chars().map(|c| halves.contains(&c) == inverted).collect::<Vec<_>>()
    };
    text.lines().flat_map(|line| [drawn(line, true), drawn(line, false)]).collect()
}

#[test]
fn terminal_and_file_show_the_same_modules_in_a_light_margin() {
    let qr = qr();
    // A code of 107 characters in upper case takes 37 modules on a side.
    assert_eq!(qr.side(), 37 + 8);
    for inverted in [false, true] {
        let shown = modules(&qr.to_text(inverted), inverted);
        for (y, row) in shown.iter().enumerate() {
            assert_eq!(row.len(), qr.side());
            for (x, dark) in row.iter().enumerate() {
                assert_eq!(*dark, qr.is_dark(x, y), "{x} {y}");
            }
        }
    }
    let all = (0..qr.side()).flat_map(|y| (0..qr.side()).map(move |x| (x, y)));
    let svg = qr.to_svg();
    let dark = all.clone().filter(|&(x, y)| qr.is_dark(x, y));
    assert!(dark.clone().all(|(x, y)| svg.contains(&format!("M{x} {y}h1v1h-1z"))));
    assert_eq!(svg.matches('M').count(), dark.count());
    let margin = all.filter(|&(x, y)| x.min(y) < MARGIN || x.max(y) >= qr.side() - MARGIN);
    assert!(!margin.into_iter().any(|(x, y)| qr.is_dark(x, y)));
}

#[test]
fn the_three_corners_have_the_pattern_that_scanners_look_for() {
    let qr = qr();
    let far = qr.side() - MARGIN - 7;
    for (left, top) in [(MARGIN, MARGIN), (far, MARGIN), (MARGIN, far)] {
        let row = |y: usize| (0..7).map(|x| qr.is_dark(left + x, top + y)).collect::<Vec<_>>();
        assert_eq!(row(0), [true; 7]);
        assert_eq!(row(1), [true, false, false, false, false, false, true]);
        assert_eq!(row(3), [true, false, true, true, true, false, true]);
    }
}

#[test]
fn more_than_fits_is_refused() {
    assert_eq!(Qr::new(&[0; 4000]).err(), Some(QrError(4000)));
}
