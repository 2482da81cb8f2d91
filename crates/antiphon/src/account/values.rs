//! Targets on the command line; each error says what is possible instead.

use crate::cli::values;

/// An epsilon above zero.
pub(super) fn epsilon(text: &str) -> Result<f64, String> {
    if is_zero(text) {
        return Err("epsilon 0 would take noise without end, as some is always learnt; give a \
                    number above 0, such as 0.1 or ln2"
            .to_owned());
    }
    values::epsilon(text)
}

/// A delta above zero.
pub(super) fn delta(text: &str) -> Result<f64, String> {
    if is_zero(text) {
        return Err(
            "delta 0 is out of reach, as noise of a bounded volume runs into its ends now \
                    and then; give a probability above 0, such as 1e-6"
                .to_owned(),
        );
    }
    values::probability(text)
}

fn is_zero(text: &str) -> bool {
    text.trim().parse() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_explained_and_the_rest_is_as_elsewhere() {
        for text in ["0", "0.0", " -0 ", "0e5"] {
            assert!(epsilon(text).unwrap_err().contains("noise without end"), "{text}");
            assert!(delta(text).unwrap_err().contains("1e-6"), "{text}");
        }
        assert_eq!(epsilon("ln2"), Ok(std::f64::consts::LN_2));
        assert_eq!(delta("1e-6"), Ok(1e-6));
        assert!(epsilon("-1").is_err() && delta("1").is_err());
    }
}
