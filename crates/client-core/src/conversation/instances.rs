//! The start of each end that a body is from, so that an end that began anew is noticed.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};
use rand::{CryptoRng, RngExt as _};

/// Speaker and listener of a body. Numbers are drawn for each start of an end, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instances {
    /// Instance of the end that speaks.
    pub(crate) own: u16,
    /// Instance of its partner that it has heard of; 0 if none yet.
    pub(crate) partners: u16,
}

/// Speaker of a body, as its instances tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The partner, heard for the first time.
    New,
    /// The partner, heard before.
    Known,
    /// One of the ends is not the one that the other has talked to before: it was started again
    /// with the same secret, or two programs use the secret at once.
    Another,
}

impl Instances {
    /// This end's instance, before it has heard of the partner.
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> Self {
        Self { own: rng.random_range(1..=u16::MAX), partners: 0 }
    }

    /// Takes note of the instances in a partner's body.
    pub(crate) fn hear(&mut self, theirs: Self) -> Speaker {
        let knows_another = theirs.partners != 0 && theirs.partners != self.own;
        let is_another = self.partners != 0 && theirs.own != self.partners;
        if knows_another || is_another {
            return Speaker::Another;
        }
        match std::mem::replace(&mut self.partners, theirs.own) {
            0 => Speaker::New,
            _ => Speaker::Known,
        }
    }
}

impl Encode for Instances {
    fn encode(&self, out: &mut Vec<u8>) {
        self.own.encode(out);
        self.partners.encode(out);
    }
}

impl Decode for Instances {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { own: Decode::decode(input)?, partners: Decode::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_notice_that_one_of_them_began_anew() {
        let ends = |own, partners| Instances { own, partners };
        let (mut first, mut second) = (ends(1, 0), ends(2, 0));
        let said = [first, second];
        assert_eq!((first.hear(said[1]), second.hear(said[0])), (Speaker::New, Speaker::New));
        let said = [first, second];
        assert_eq!((first.hear(said[1]), second.hear(said[0])), (Speaker::Known, Speaker::Known));
        let mut again = ends(3, 0);
        let said = [first, again];
        assert_eq!(
            (first.hear(said[1]), again.hear(said[0])),
            (Speaker::Another, Speaker::Another)
        );
        // Neither takes to the other later.
        assert_eq!((first, again), (ends(1, 2), ends(3, 0)));
    }
}
