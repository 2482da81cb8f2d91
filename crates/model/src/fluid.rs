//! Arrival of bytes that many senders send one receiver, treated as a fluid.

/// The share of a step's bytes that is still to arrive, over time: the same for every receiver, as each
/// sender divides what it sends among all.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// A moment, and the share still to come just before it; in the order of time.
    points: Vec<(f64, f64)>,
    /// Those that decide when a queue is empty, for some speed of its server: the upper envelope of
    /// the lines `moment + share x`, from the steepest to the flattest.
    envelope: Vec<(f64, f64)>,
}

/// One sender: when its first byte arrives, and how long the rest takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) start: f64,
    pub(super) lasts: f64,
}

impl Arrivals {
    /// Of `flows` that carry equal shares.
    pub(super) fn new(flows: &[Flow]) -> Self {
        let each = 1.0 / flows.len().max(1) as f64;
        let mut changes = Vec::with_capacity(2 * flows.len());
        for flow in flows {
            // A flow is a rate that comes and goes; one that takes no time is a jump.
            if flow.lasts > 0.0 {
                let rate = each / flow.lasts;
                changes.push((flow.start, rate, 0.0));
                changes.push((flow.start + flow.lasts, -rate, 0.0));
            } else {
                changes.push((flow.start, 0.0, each));
            }
        }
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut points = Vec::with_capacity(changes.len() + 1);
        let (mut at, mut rate, mut share) = (f64::NEG_INFINITY, 0.0, 1.0_f64);
        for (moment, change, jump) in changes {
            // Several flows may change at one moment, and before the first there is no rate.
            if moment > at && rate > 0.0 {
                share = (share - rate * (moment - at)).max(0.0);
            }
            points.push((moment, share));
            at = moment;
            rate += change;
            share = (share - jump).max(0.0);
        }
        if let Some(last) = points.last().copied() {
            // Rounding must not leave something that never comes.
            points.push((last.0, 0.0));
        }
        let envelope = envelope(&points);
        Self { points, envelope }
    }

    /// When a server is done that takes `whole` seconds for everything and works on what has come:
    /// the latest over all moments of that moment and the work still to come at it.
    pub(super) fn finish(&self, whole: f64) -> f64 {
        let value = |(moment, share): (f64, f64)| moment + share * whole;
        // Along the envelope the values rise, then fall.
        let (mut low, mut high) = (0, self.envelope.len());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if value(self.envelope[middle]) >= value(self.envelope[middle - 1]) {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.envelope.get(low).copied().map_or(0.0, value)
    }

    /// The same over the moments from `from` to `until` alone.
    pub(super) fn finish_between(&self, whole: f64, (from, until): (f64, f64)) -> f64 {
        let first = self.points.partition_point(|point| point.0 < from);
        let within = self.points[first..].iter().take_while(|point| point.0 <= until);
        let ends = [from, until.max(from)].map(|end| (end, self.to_come(end)));
        let all = within.copied().chain(ends);
        all.map(|(moment, share)| moment + share * whole).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The share still to come just before `moment`.
    pub(super) fn to_come(&self, moment: f64) -> f64 {
        let next = self.points.partition_point(|point| point.0 < moment);
        match (next.checked_sub(1).map(|i| self.points[i]), self.points.get(next)) {
            (None, _) => 1.0,
            (Some(_), None) => 0.0,
            (Some((from, share)), Some(&(to, then))) if to > from => {
                share + (then - share) * (moment - from) / (to - from)
            }
            (Some(_), Some(&(_, then))) => then,
        }
    }
}

/// The upper envelope, for speeds from 0 on, of lines with falling slopes.
fn envelope(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut hull: Vec<(f64, f64)> = Vec::new();
    // From the flattest and latest to the steepest and earliest.
    for &(moment, share) in points.iter().rev() {
        while let Some(&(last_moment, last_share)) = hull.last() {
            if share <= last_share {
                // As flat and no later: never above.
                break;
            }
            let Some(&(before_moment, before_share)) = hull.len().checked_sub(2).map(|i| &hull[i])
            else {
                break;
            };
            // Where the new line overtakes the last but one, and where the last one does.
            let new = (before_moment - moment) / (share - before_share);
            let last = (before_moment - last_moment) / (last_share - before_share);
            if new > last {
                break;
            }
            hull.pop();
        }
        if hull.last().is_none_or(|last| share > last.1) {
            hull.push((moment, share));
        }
    }
    hull
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_flow_is_as_slow_as_the_slower_of_link_and_server() {
        let arrivals = Arrivals::new(&[Flow { start: 2.0, lasts: 4.0 }]);
        assert_eq!(arrivals.finish(1.0), 6.0);
        assert_eq!(arrivals.finish(5.0), 7.0);
        assert_eq!(arrivals.to_come(4.0), 0.5);
    }

    #[test]
    fn a_server_waits_for_the_last() {
        let flows = [Flow { start: 0.0, lasts: 1.0 }, Flow { start: 10.0, lasts: 1.0 }];
        let arrivals = Arrivals::new(&flows);
        assert_eq!(arrivals.finish(4.0), 12.0);
        assert_eq!(arrivals.finish(40.0), 40.0);
    }

    proptest! {
        #[test]
        fn the_envelope_finds_the_latest_of_all_points(
            starts in prop::collection::vec((0.0..10.0_f64, prop_oneof![Just(0.0), 0.1..5.0_f64]), 1..40),
            whole in 0.0..100.0_f64,
        ) {
            let flows: Vec<_> =
                starts.into_iter().map(|(start, lasts)| Flow { start, lasts }).collect();
            let arrivals = Arrivals::new(&flows);
            let all = arrivals.points.iter().map(|(moment, share)| moment + share * whole);
            let latest = all.fold(0.0, f64::max);
            prop_assert!((arrivals.finish(whole) - latest).abs() < 1e-9 * latest.max(1.0));
            // Over all moments it is the same; over some, no later, and never before they are over.
            let everywhere = arrivals.finish_between(whole, (0.0, 20.0));
            prop_assert!((everywhere - latest.max(whole).max(20.0)).abs() < 1e-9 * everywhere);
            let some = arrivals.finish_between(whole, (3.0, 7.0));
            prop_assert!((7.0..=everywhere).contains(&some), "{some} of {everywhere}");
        }

        #[test]
        fn nothing_is_done_before_it_arrives_or_faster_than_the_server(
            starts in prop::collection::vec((0.0..10.0_f64, 0.0..5.0_f64), 1..40),
            whole in 0.0..100.0_f64,
        ) {
            let flows: Vec<_> =
                starts.into_iter().map(|(start, lasts)| Flow { start, lasts }).collect();
            let first = flows.iter().map(|flow| flow.start).fold(f64::MAX, f64::min);
            let last = flows.iter().map(|flow| flow.start + flow.lasts).fold(0.0, f64::max);
            let done = Arrivals::new(&flows).finish(whole);
            prop_assert!(done >= last - 1e-9 && done >= first + whole - 1e-9);
            prop_assert!(done <= last + whole + 1e-9);
        }
    }
}
