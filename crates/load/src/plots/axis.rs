//! Scales with round numbers on them.

use super::canvas::{Anchor, Canvas};

/// A linear scale from zero.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    step: f64,
    ticks: usize,
}

impl Scale {
    /// A scale that reaches at least `largest`, with about `ticks` ticks at round numbers.
    pub(super) fn to(largest: f64, ticks: usize) -> Self {
        let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
        let rough = largest / ticks.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
        let step = factor.unwrap_or(10.0) * power;
        // A little more than what is shown would cost a whole step otherwise.
        Self { step, ticks: ((largest / step) - 1e-9).ceil().max(1.0) as usize }
    }

    /// The end of the scale.
    pub(super) fn end(&self) -> f64 {
        self.step * self.ticks as f64
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let step = self.step;
        (0..=self.ticks).map(move |tick| step * tick as f64)
    }

    /// A tick's number, without digits that are zero at all of them.
    pub(super) fn name(&self, value: f64) -> String {
        let digits = (0..6).find(|digits| {
            let scaled = self.step * 10_f64.powi(*digits);
            (scaled - scaled.round()).abs() < 1e-6
        });
        format!("{value:.*}", digits.unwrap_or(6) as usize)
    }
}

/// The part of a canvas that a plot's data fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// Where `fraction` of the width is, from the left.
    pub(super) fn x(&self, fraction: f64) -> f64 {
        self.left + fraction * (self.right - self.left)
    }

    /// Where `fraction` of the height is, from the bottom.
    pub(super) fn y(&self, fraction: f64) -> f64 {
        self.bottom - fraction * (self.bottom - self.top)
    }

    /// Draws an upright scale with lines across, and says what it counts.
    pub(super) fn upright(&self, canvas: &mut Canvas, scale: &Scale, unit: &str) {
        for value in scale.ticks() {
            let y = self.y(value / scale.end());
            let class = if value == 0.0 { "axis" } else { "grid" };
            canvas.line(class, (self.left, y), (self.right, y));
            let name = scale.name(value);
            canvas.text("tick", Anchor::End, (self.left - 8.0, y + 4.0), &name);
        }
        canvas.text("label", Anchor::Start, (8.0, self.top - 14.0), unit);
    }

    /// Draws a scale along the bottom with lines up, and says what it counts.
    pub(super) fn along(&self, canvas: &mut Canvas, scale: &Scale, unit: &str) {
        for value in scale.ticks() {
            let x = self.x(value / scale.end());
            let class = if value == 0.0 { "axis" } else { "grid" };
            canvas.line(class, (x, self.top), (x, self.bottom));
            let name = scale.name(value);
            canvas.text("tick", Anchor::Middle, (x, self.bottom + 18.0), &name);
        }
        canvas.text("label", Anchor::End, (self.right, self.bottom + 36.0), unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_largest_value() {
        for (largest, step, end) in [
            (0.73, 0.2, 0.8),
            (1.0, 0.2, 1.0),
            (3.0, 1.0, 3.0),
            (5120.0, 2000.0, 6000.0),
            (0.0, 0.2, 1.0),
        ] {
            let scale = Scale::to(largest, 5);
            assert!(scale.end() >= largest, "{largest}");
            assert!(
                (scale.step - step).abs() < 1e-9 && (scale.end() - end).abs() < 1e-9,
                "{scale:?}"
            );
        }
        assert_eq!(Scale::to(0.7, 5).name(0.4), "0.4");
        assert_eq!(Scale::to(10.0, 4).name(7.5), "7.5");
        assert_eq!(Scale::to(5000.0, 5).name(2000.0), "2000");
    }
}
