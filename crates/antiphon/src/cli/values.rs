//! Values on the command line; each error says what would be right.

use std::path::PathBuf;
use std::str::FromStr;

use antiphon_routing::Ppm;
use antiphon_wire::IdentityKey;

/// The largest epsilon that a network file may have.
const MAX_EPSILON: f64 = 100.0;

/// A malicious fraction, from 0 to below 0.5.
pub(crate) fn malicious(text: &str) -> Result<Ppm, String> {
    let parts = number(text).map(|fraction| (fraction * f64::from(Ppm::WHOLE)).round());
    parts
        .filter(|parts| (0.0..f64::from(Ppm::WHOLE / 2)).contains(parts))
        .and_then(|parts| Ppm::new(parts as u32))
        .ok_or_else(|| "give a fraction from 0 to below 0.5, such as 0.2".to_owned())
}

/// An epsilon: a number, or `ln2`, `ln 4`, `ln(3)`.
pub(crate) fn epsilon(text: &str) -> Result<f64, String> {
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
