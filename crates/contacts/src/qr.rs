//! QR codes, as text for a terminal and as a picture for a file.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around a code, which scanners need.
const MARGIN: usize = 4;

/// A QR code of up to 1 kB.
pub struct Qr {
    dark: Vec<bool>,
    width: usize,
}

/// Reason why there is no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes do not fit into a QR code")]
pub struct QrError(usize);

impl Qr {
    /// The code of these bytes. Text in upper case takes a smaller one.
    ///
    /// # Errors
    /// [`QrError`] if they are too many.
    pub fn new(bytes: &[u8]) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(bytes, EcLevel::M);
        let code = code.map_err(|_| QrError(bytes.len()))?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { dark, width: code.width() })
    }

    /// Modules on a side, with the margin.
    #[must_use]
    pub fn side(&self) -> usize {
        self.width + 2 * MARGIN
    }

    /// Returns `true` for a dark module; all around the code is light.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(MARGIN).filter(|at| *at < self.width);
        inside(x).zip(inside(y)).is_some_and(|(x, y)| self.dark[y * self.width + x])
    }

    /// Lines of text with two modules above each other in a character, light ones drawn: for a terminal with light
    /// text on a dark ground. With `inverted`, for one with dark text on a light ground.
    #[must_use]
    pub fn to_text(&self, inverted: bool) -> String {
        let drawn = |x: usize, y: usize| self.is_dark(x, y) == inverted;
        let mut text = String::new();
        for y in (0..self.side()).step_by(2) {
            text.extend((0..self.side()).map(|x| match (drawn(x, y), drawn(x, y + 1)) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            }));
            text.push('\n');
        }
        text
    }

    /// The content of an SVG file, black on white whatever the background.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let side = self.side();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
             shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\""
        );
        for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
            if self.is_dark(x, y) {
                // Writing to a string cannot fail.
                let _ = write!(svg, "M{x} {y}h1v1h-1z");
            }
        }
        svg.push_str("\"/></svg>\n");
        svg
    }
}

impl std::fmt::Debug for Qr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Qr(..)")
    }
}

#[cfg(test)]
mod tests;
