//! Values on the command line; each error says what would be right.

use std::path::PathBuf;
use std::str::FromStr;

use antiphon_dp_noise::Cut;
use antiphon_routing::Ppm;
use antiphon_wire::IdentityKey;

/// The largest epsilon that a network file may have.
const MAX_EPSILON: f64 = 100.0;

/// The most users that are planned for.
const MOST_USERS: u64 = 100_000_000_000;
/// The most operators of a network file.
const MOST_OPERATORS: u16 = 1000;

/// A malicious fraction, from 0 to below 0.5.
pub(crate) fn malicious(text: &str) -> Result<Ppm, String> {
    let parts = number(text).map(|fraction| (fraction * f64::from(Ppm::WHOLE)).round());
    parts
        .filter(|parts| (0.0..f64::from(Ppm::WHOLE / 2)).contains(parts))
        .and_then(|parts| Ppm::new(parts as u32))
        .ok_or_else(|| {
            "the protocol holds as long as fewer than half are malicious: give a fraction from 0 to \
             below 0.5, such as 0.2"
                .to_owned()
        })
}

/// An epsilon: a number, or `ln2`, `ln 4`, `ln(3)`.
pub(crate) fn epsilon(text: &str) -> Result<f64, String> {
    if is_zero(text) {
        return Err("epsilon 0 would take noise without end, as some is always learnt; give a \
                    number above 0, such as 0.1 or ln2"
            .to_owned());
    }
    let value = match text.trim().strip_prefix("ln") {
        Some(rest) => {
            let rest = rest.trim();
            let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
            number(inner.unwrap_or(rest)).map(f64::ln)
        }
        None => number(text),
    };
    value.filter(|epsilon| *epsilon > 0.0 && *epsilon <= MAX_EPSILON).ok_or_else(|| {
        format!(
            "give a number above 0 and at most {MAX_EPSILON}, or a logarithm such as ln2 or ln4"
        )
    })
}

/// A probability strictly between 0 and 1.
pub(crate) fn probability(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| *value > 0.0 && *value < 1.0)
        .ok_or_else(|| "give a probability strictly between 0 and 1, such as 1e-6".to_owned())
}

/// A probability above 0 that may be 1, which bounds nothing.
pub(crate) fn total(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| *value > 0.0 && *value <= 1.0)
        .ok_or_else(|| "give a probability above 0, such as 0.01; 1 is no limit".to_owned())
}

/// The probability with which epsilon may fail.
pub(crate) fn delta(text: &str) -> Result<f64, String> {
    if is_zero(text) {
        return Err(
            "delta 0 is out of reach, as noise of a bounded volume runs into its ends now \
                    and then; give a probability above 0, such as 1e-6"
                .to_owned(),
        );
    }
    probability(text)
}

/// Operators of equal weight that make a network: two at least.
pub(crate) fn operators(text: &str) -> Result<u16, String> {
    match text.trim().parse() {
        Ok(0) => Err(format!("without operators there is no network; give 2 to {MOST_OPERATORS}")),
        Ok(1) => Err(LONE_OPERATOR.to_owned()),
        Ok(operators @ 2..=MOST_OPERATORS) => Ok(operators),
        _ => Err(format!("give a number of operators from 2 to {MOST_OPERATORS}, such as 5")),
    }
}

/// Explanation why one operator makes no network, and of what does.
pub(crate) const LONE_OPERATOR: &str = "a single operator has to be trusted with everything: it sees \
    both ends of every path, and no noise hides anything from it. Possible instead: 2 operators if \
    neither of them is malicious, or 3 and more, of whom one may be: --shards 3 --malicious 0.34";

/// Users of a network.
pub(crate) fn users(text: &str) -> Result<u64, String> {
    let users = text.trim().parse().ok().filter(|users| (1..=MOST_USERS).contains(users));
    users.ok_or_else(|| {
        format!("give a whole number of users from 1 to {MOST_USERS}, such as 2000000")
    })
}

/// A distance of the cut of noise, in quarters of a sigma.
pub(crate) fn cut(text: &str) -> Result<Cut, String> {
    let quarters = number(text).map(|sigmas| 4.0 * sigmas);
    quarters
        .filter(|quarters| (0.0..1e3).contains(quarters) && quarters.fract() == 0.0)
        .and_then(|quarters| Cut::from_quarters(quarters as u32))
        .ok_or_else(|| "give a number of sigmas from 0 to 8 in quarters, such as 2.5".to_owned())
}

/// A rate of false positives.
pub(crate) fn false_positives(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|rate| (0.0..=0.25).contains(rate))
        .ok_or_else(|| "give a rate from 0 to 0.25, such as 1e-6".to_owned())
}

/// Seconds above zero, up to a day.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| *value > 0.0 && *value <= 86_400.0)
        .ok_or_else(|| "give seconds: a number above 0 and at most 86400, such as 5".to_owned())
}

/// The speed of a link.
pub(crate) fn gbps(text: &str) -> Result<f64, String> {
    number(text).filter(|value| *value > 0.0 && *value <= 100_000.0).ok_or_else(|| {
        "give gigabits a second: a number above 0 and at most 100000, such as 10".to_owned()
    })
}

/// The delay of a link.
pub(crate) fn delay_ms(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| (0.0..=100_000.0).contains(value))
        .ok_or_else(|| "give milliseconds: a number from 0 to 100000, such as 50".to_owned())
}

/// A file for a drawing.
pub(crate) fn svg_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|extension| extension == "svg") {
        Ok(path)
    } else {
        Err("give a file name that ends in .svg".to_owned())
    }
}

/// A fraction from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "give a fraction from 0 to 1, such as 0.5".to_owned())
}

/// An interval or a window in seconds, from a millisecond to an hour.
pub(crate) fn span(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|value| (0.001..=3600.0).contains(value))
        .ok_or_else(|| "give a time in seconds, from 0.001 to 3600".to_owned())
}

/// A public key in hexadecimal.
pub(crate) fn public_key(text: &str) -> Result<IdentityKey, String> {
    text.parse().map_err(|_| {
        "give a public key: 64 hexadecimal digits, as `antiphon keygen identity` prints it"
            .to_owned()
    })
}

fn is_zero(text: &str) -> bool {
    text.trim().parse() == Ok(0.0)
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// One operator of a network file: `NAME=PUBKEY[:WEIGHT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperatorArgument {
    /// A name for people.
    pub(crate) name: String,
    /// The operator's signing key.
    pub(crate) key: IdentityKey,
    /// Its share of every path, relative to the others'.
    pub(crate) weight: u32,
}

impl FromStr for OperatorArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text
            .rsplit_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or("give NAME=PUBKEY, or NAME=PUBKEY:WEIGHT")?;
        let (key, weight) = rest.split_once(':').unwrap_or((rest, "1"));
        let key = key.parse().map_err(|_| {
            "give NAME=PUBKEY with a key of 64 hexadecimal digits, as `antiphon keygen operator` \
             prints it"
        })?;
        let weight = weight
            .parse()
            .ok()
            .filter(|weight| (1..=1_000_000).contains(weight))
            .ok_or("give a weight from 1 to 1000000 after the colon")?;
        Ok(Self { name: name.trim().to_owned(), key, weight })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_are_numbers_or_logarithms() {
        for text in ["ln2", "ln 2", "ln(2)", " ln2 ", "0.6931471805599453"] {
            assert_eq!(epsilon(text), Ok(std::f64::consts::LN_2), "{text}");
        }
        for text in ["", "ln", "ln1", "ln0", "ln(2", "0", "-1", "nan", "inf", "101", "two"] {
            assert!(epsilon(text).unwrap_err().contains("ln2"), "{text}");
        }
    }

    #[test]
    fn zero_is_explained() {
        for text in ["0", "0.0", " -0 ", "0e5"] {
            assert!(epsilon(text).unwrap_err().contains("noise without end"), "{text}");
            assert!(delta(text).unwrap_err().contains("runs into its ends"), "{text}");
        }
        assert_eq!(delta("1e-6"), Ok(1e-6));
        for text in ["1", "-0.1", "nan", "1e-400x"] {
            assert!(delta(text).unwrap_err().contains("strictly between"), "{text}");
        }
    }

    #[test]
    fn a_network_takes_operators_and_users() {
        assert_eq!((operators("2"), operators("1000")), (Ok(2), Ok(1000)));
        assert!(operators("1").unwrap_err().contains("--shards 3 --malicious 0.34"));
        for text in ["0", "1001", "-1", "2.5", "", "99999999999"] {
            assert!(operators(text).unwrap_err().contains("2 to 1000"), "{text}");
        }
        assert_eq!((users("1"), users("100000000000")), (Ok(1), Ok(MOST_USERS)));
        for text in ["0", "100000000001", "18446744073709551616", "1e6", "-5", "many", ""] {
            assert!(users(text).unwrap_err().contains("from 1 to 100000000000"), "{text}");
        }
    }

    #[test]
    fn fractions_stay_below_a_half() {
        assert_eq!(malicious("0.2").unwrap().parts(), 200_000);
        assert_eq!(malicious("0").unwrap().parts(), 0);
        for text in ["0.5", "0.4999999", "-0.1", "20%", "nan", ""] {
            assert!(malicious(text).unwrap_err().contains("below 0.5"), "{text}");
        }
    }

    #[test]
    fn shares_and_times_are_within_bounds() {
        assert_eq!((share("0"), share("1"), share(" 0.25")), (Ok(0.0), Ok(1.0), Ok(0.25)));
        assert_eq!((span("0.001"), span("2.5")), (Ok(0.001), Ok(2.5)));
        for text in ["-0.1", "1.1", "nan", "", "half"] {
            assert!(share(text).unwrap_err().contains("from 0 to 1"), "{text}");
        }
        for text in ["0", "-1", "3601", "inf", "5s"] {
            assert!(span(text).unwrap_err().contains("from 0.001 to 3600"), "{text}");
        }
    }

    #[test]
    fn operators_have_a_name_a_key_and_perhaps_a_weight() {
        let key = "ab".repeat(32);
        let parsed: OperatorArgument = format!("Alpha Org={key}").parse().unwrap();
        assert_eq!((parsed.name.as_str(), parsed.weight), ("Alpha Org", 1));
        let parsed: OperatorArgument = format!("a=b={key}:30").parse().unwrap();
        assert_eq!((parsed.name.as_str(), parsed.weight), ("a=b", 30));
        for (text, wanted) in [
            (key.clone(), "NAME=PUBKEY"),
            (format!("={key}"), "NAME=PUBKEY"),
            ("a=12".to_owned(), "64 hexadecimal digits"),
            (format!("a={key}:0"), "weight"),
            (format!("a={key}:x"), "weight"),
        ] {
            let error = text.parse::<OperatorArgument>().unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
