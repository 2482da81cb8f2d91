//! A logarithmic axis of a drawing.

/// A logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// The smallest and the largest value.
    pub(super) values: (f64, f64),
    /// Where they are drawn.
    places: (f64, f64),
}

impl Axis {
    /// An axis over `values` with some room beside them.
    pub(super) fn over(values: impl Iterator<Item = f64>, places: (f64, f64)) -> Self {
        let (least, greatest) = values
            .fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), value| (a.min(value), b.max(value)));
        Self { values: (least / 1.3, greatest * 1.3), places }
    }

    /// Where a value is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value / self.values.0).ln() / (self.values.1 / self.values.0).ln();
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// 1, 2 and 5 times powers of ten, as far as they are on the axis.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.values.0.log10().floor(), self.values.1.log10().ceil());
        (low as i32..=high as i32)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
            .filter(|tick| (self.values.0..=self.values.1).contains(tick))
            .collect()
    }
}

/// 2000000 as 2M.
pub(super) fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", value / 1e6),
        1e3..1e6 => format!("{}k", value / 1e3),
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_on_the_axis() {
        let axis = Axis::over([0.4, 30.0].into_iter(), (0.0, 100.0));
        assert_eq!(axis.ticks(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert!(axis.place(0.4) > 0.0 && axis.place(30.0) < 100.0);
        assert_eq!([short(2e6), short(5e4), short(0.5)], ["2M", "50k", "0.5"]);
    }
}
