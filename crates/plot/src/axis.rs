//! Scales with round numbers on them.

use super::canvas::{Anchor, Canvas};

/// A scale of an axis.
#[derive(Clone, Debug)]
pub struct Scale(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// From zero, with so many ticks that are so far apart.
    Linear { step: f64, ticks: usize },
    /// Between two values, both above zero.
    Logarithmic { low: f64, high: f64 },
}

/// The room beside the outermost values of a logarithmic scale, as a factor.
const BESIDE: f64 = 1.3;

impl Scale {
    /// A linear scale from zero that reaches at least `largest`, with about `ticks` ticks at round
    /// numbers.
    pub fn to(largest: f64, ticks: usize) -> Self {
        let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
        let rough = largest / ticks.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
        let step = factor.unwrap_or(10.0) * power;
        // A little more than what is shown would cost a whole step otherwise.
        Self(Kind::Linear { step, ticks: ((largest / step) - 1e-9).ceil().max(1.0) as usize })
    }

    /// A logarithmic scale over all `values`, of which those that are not above zero do not count,
    /// with some room beside them.
    pub fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), value| (a.min(value), b.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 1.0) };
        Self(Kind::Logarithmic { low: low / BESIDE, high: high * BESIDE })
    }

    /// Where a value is, from 0 at the start of the scale to 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        match self.0 {
            Kind::Linear { .. } => value / self.ends().1,
            Kind::Logarithmic { low, high } => (value / low).ln() / (high / low).ln(),
        }
    }

    /// Where the scale starts, and where it ends.
    pub fn ends(&self) -> (f64, f64) {
        match self.0 {
            Kind::Linear { step, ticks } => (0.0, step * ticks as f64),
            Kind::Logarithmic { low, high } => (low, high),
        }
    }

    /// Round numbers along the scale; 1, 2 and 5 times powers of ten on a logarithmic one.
    fn ticks(&self) -> Vec<f64> {
        match self.0 {
            Kind::Linear { step, ticks } => (0..=ticks).map(|tick| step * tick as f64).collect(),
            Kind::Logarithmic { low, high } => {
                let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
                powers
                    .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
                    .filter(|tick| (low..=high).contains(tick))
                    .collect()
            }
        }
    }

    /// A tick's number: without digits that are zero at all of them, or as 2M for 2000000.
    fn name(&self, value: f64) -> String {
        let Kind::Linear { step, .. } = self.0 else { return short(value) };
        let digits = (0..6).find(|digits| {
            let scaled = step * 10_f64.powi(*digits);
            (scaled - scaled.round()).abs() < 1e-6
        });
        format!("{value:.*}", digits.unwrap_or(6) as usize)
    }
}

/// 2000000 as 2M.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3..1e6 => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

/// The part of a canvas that a plot's data fill.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// From the left edge of the canvas.
    pub left: f64,
    /// From its left edge, too.
    pub right: f64,
    /// From its upper edge.
    pub top: f64,
    /// From its upper edge, too.
    pub bottom: f64,
}

impl Area {
    /// Where `fraction` of the width is, from the left.
    pub fn x(&self, fraction: f64) -> f64 {
        self.left + fraction * (self.right - self.left)
    }

    /// Where `fraction` of the height is, from the bottom.
    pub fn y(&self, fraction: f64) -> f64 {
        self.bottom - fraction * (self.bottom - self.top)
    }

    /// Draws an upright scale with lines across, and says what it counts.
    pub fn upright(&self, canvas: &mut Canvas, scale: &Scale, unit: &str) {
        for value in scale.ticks() {
            let y = self.y(scale.place(value));
            let class = if value == 0.0 { "axis" } else { "grid" };
            canvas.line(class, (self.left, y), (self.right, y));
            let name = scale.name(value);
            canvas.text("tick", Anchor::End, (self.left - 8.0, y + 4.0), &name);
        }
        canvas.text("label", Anchor::Start, (8.0, self.top - 14.0), unit);
    }

    /// Draws a scale along the bottom with lines up, and says what it counts.
    pub fn along(&self, canvas: &mut Canvas, scale: &Scale, unit: &str) {
        for value in scale.ticks() {
            let x = self.x(scale.place(value));
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
            let found = scale.ends().1;
            assert!(found >= largest, "{largest}");
            let first = scale.ticks()[1];
            assert!((first - step).abs() < 1e-9 && (found - end).abs() < 1e-9, "{scale:?}");
        }
        assert_eq!(Scale::to(0.7, 5).name(0.4), "0.4");
        assert_eq!(Scale::to(10.0, 4).name(7.5), "7.5");
        assert_eq!(Scale::to(5000.0, 5).name(2000.0), "2000");
    }

    #[test]
    fn logarithmic_ticks_are_round_and_on_the_scale() {
        let scale = Scale::over([0.4, 30.0, 0.0, f64::NAN].into_iter());
        assert_eq!(scale.ticks(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!(scale.place(0.4) > 0.0 && scale.place(30.0) < 1.0);
        assert_eq!([2e6, 5e4, 0.5].map(|value| scale.name(value)), ["2M", "50k", "0.5"]);
        // Without any value there is a scale all the same.
        assert!(Scale::over(std::iter::empty()).place(1.0).is_finite());
    }
}
