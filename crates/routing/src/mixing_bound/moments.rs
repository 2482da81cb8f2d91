//! The effect of one layer on a deviation from uniform, in the p-th mean.
//!
//! The adversary's posterior over the places of k onions, with everything that fewer onions tell taken out,
//! is a function on k-tuples of different places that sums to zero in every coordinate. A layer leaves a
//! place at a malicious shard alone and averages over those at one honest shard. The names here are those of
//! the theorem in the documentation ("Mixing").

/// The setting of a bound: a population and the exponent of the norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    /// f, the probability that a hop is malicious.
    pub(super) f: f64,
    /// H, the number of honest shards.
    pub(super) honest_shards: f64,
    /// N, the places: the onions among which nobody can tell.
    pub(super) places: f64,
    /// p, more than 1 and at most 2.
    pub(super) p: f64,
}

impl Moments {
    /// 1/p, the power that makes a p-norm of a p-th moment.
    pub(super) fn root(self) -> f64 {
        1.0 / self.p
    }

    /// 1 - 1/p: |v|_1 <= n^(1-1/p) |v|_p for n places.
    pub(super) fn spread(self) -> f64 {
        1.0 - 1.0 / self.p
    }

    /// theta, at least (1-x)^p + (1-x) x^(p-1) for every x in 0..=1: taking the mean out of what
    /// is uniform on a share x of all places multiplies its p-th power by no more.
    pub(super) fn theta(self) -> f64 {
        // (1-x) x^(p-1) - x is concave, and at most x^(p-1) - x^p.
        let gain = |x: f64| (1.0 - x) * libm::pow(x, self.p - 1.0) - x;
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let third = (high - low) / 3.0;
            if gain(low + third) < gain(high - third) {
                low += third;
            } else {
                high -= third;
            }
        }
        1.0 + gain(0.5 * (low + high)).max(0.0)
    }

    /// alpha_a(n): the part that honest shards leave of a tuple of `a` places, all of them at honest shards,
    /// out of n. Interpolated between the sum of absolute values, (2 (1-f))^a, and the squares, a! H^a / (n
    /// (n-1) .. (n-a+2) (n-2a+1)).
    pub(super) fn honest_part(self, a: u32, n: f64) -> f64 {
        let h = self.honest_shards;
        let (absolute, squares) = match a {
            0 => return 1.0,
            1 => (2.0 * (1.0 - self.f) * (1.0 - (1.0 - self.f) / h), h / n),
            2 => (4.0 * (1.0 - self.f) * (1.0 - self.f), h * (h + 1.0) / (n * (n - 3.0))),
            _ => {
                let a_places = f64::from(a);
                let orbits: f64 = (1..=a).map(|i| f64::from(i) * h).product();
                let dimension: f64 = (0..a - 1).map(|i| n - f64::from(i)).product();
                let absolute = libm::pow(2.0 * (1.0 - self.f), a_places);
                (absolute, orbits / (dimension * (n - 2.0 * a_places + 1.0)))
            }
        };
        libm::pow(absolute, 2.0 - self.p) * libm::pow(squares, self.p - 1.0)
    }

    /// q_k: the factor by which a layer shrinks the expected p-th power of a deviation of `k`
    /// onions among n places. Each place is at a malicious shard with probability f.
    pub(super) fn layer(self, k: u32, n: f64) -> f64 {
        let mut choices = 1.0;
        let mut sum = 0.0;
        for a in 0..=k {
            let malicious = libm::pow(self.f, f64::from(k - a));
            let among = n - f64::from(k - a);
            sum += choices * malicious * self.honest_part(a, among);
            choices = choices * f64::from(k - a) / f64::from(a + 1);
        }
        sum
    }
}
