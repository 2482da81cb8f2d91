//! Pieces of an exchange, cut into parts that a body carries whole, and put together again.
//!
//! A part is acknowledged by itself, so that it can be said how far a message has come. The first is marked: whoever
//! starts again begins a piece, wherever the one before was.

/// Bit of the first byte of a piece's first part.
const FIRST: u8 = 1;
/// Bit of the first byte of a piece's last part.
const LAST: u8 = 2;
/// Bit of the first byte of the first part of a greeting, which is no piece of the exchange.
const GREETING: u8 = 4;
/// Bytes of the longest piece: a message, its kind and its id.
const MOST_PIECE_BYTES: usize = (64 << 10) + 17;
/// The least that a part carries beside its first byte.
const LEAST_BYTES: usize = 16;

/// The parts of a piece for bodies that carry so many bytes, in their order; there is at least one.
pub(crate) fn cut(piece: &[u8], body_bytes: usize) -> Vec<Vec<u8>> {
    let room = body_bytes.saturating_sub(1).max(LEAST_BYTES);
    let count = piece.len().div_ceil(room).max(1);
    let part = |number: usize| {
        let end = piece.len().min((number + 1) * room);
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let marks = bit(number == 0, FIRST) | bit(number + 1 == count, LAST);
        [&[marks], &piece[number * room..end]].concat()
    };
    (0..count).map(part).collect()
}

/// The parts of a greeting.
pub(crate) fn cut_greeting(said: &[u8], body_bytes: usize) -> Vec<Vec<u8>> {
    let mut parts = cut(said, body_bytes);
    if let Some(marks) = parts.first_mut().and_then(|part| part.first_mut()) {
        *marks |= GREETING;
    }
    parts
}

/// Outcome of a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// Nothing yet.
    More,
    /// A piece.
    Whole(Vec<u8>),
    /// A greeting.
    Greeting(Vec<u8>),
    /// Nothing: it is of no piece whose beginning came.
    Spoilt,
}

/// Parts of a piece that is not whole yet, and whether it is a greeting.
#[derive(Debug, Default)]
pub(crate) struct Joiner(Option<(Vec<u8>, bool)>);

impl Joiner {
    /// Takes the next part. What cannot be read is left out: it is the contact's fault.
    pub(crate) fn take(&mut self, part: &[u8]) -> Joined {
        let Some((marks, bytes)) = part.split_first() else { return Joined::Spoilt };
        let before = self.0.take();
        let (is_first, greets) = (marks & FIRST != 0, marks & GREETING != 0);
        let begun = if is_first { Some((Vec::new(), greets)) } else { before };
        let is_known = *marks <= FIRST | LAST | GREETING && (is_first || !greets);
        let fits = |begun: &(Vec<u8>, bool)| begun.0.len() + bytes.len() <= MOST_PIECE_BYTES;
        let Some((mut piece, greets)) = begun.filter(fits).filter(|_| is_known) else {
            return Joined::Spoilt;
        };
        piece.extend_from_slice(bytes);
        if marks & LAST != 0 {
            return if greets { Joined::Greeting(piece) } else { Joined::Whole(piece) };
        }
        self.0 = Some((piece, greets));
        Joined::More
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_cut_is_put_together_again_whatever_was_broken_off_before(
            piece in prop::collection::vec(any::<u8>(), 0..2000),
            body_bytes in 0..400_usize,
            broken_off in 0..10_usize,
        ) {
            let parts = cut(&piece, body_bytes);
            let fits = |part: &Vec<u8>| part.len() <= body_bytes.max(LEAST_BYTES + 1);
            prop_assert!(parts.iter().all(fits));
            let mut joiner = Joiner::default();
            let (last, others) = parts.split_last().unwrap();
            for part in others.iter().take(broken_off).chain(others) {
                prop_assert_eq!(joiner.take(part), Joined::More);
            }
            prop_assert_eq!(joiner.take(last), Joined::Whole(piece));
        }

        #[test]
        fn whatever_comes_memory_is_bounded_and_the_next_piece_is_read(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..50),
        ) {
            let mut joiner = Joiner::default();
            for part in &parts {
                joiner.take(part);
            }
            prop_assert_eq!(joiner.take(b"\x03hello"), Joined::Whole(b"hello".to_vec()));
        }
    }

    #[test]
    fn a_greeting_is_told_from_a_piece() {
        let mut joiner = Joiner::default();
        let parts = cut_greeting(&[7; 100], 50);
        let joined: Vec<_> = parts.iter().map(|part| joiner.take(part)).collect();
        assert_eq!(joined.last(), Some(&Joined::Greeting(vec![7; 100])));
        assert_eq!(joiner.take(b"\x03hello"), Joined::Whole(b"hello".to_vec()));
    }

    #[test]
    fn the_longest_message_is_no_longer_than_the_longest_piece() {
        assert_eq!(MOST_PIECE_BYTES, antiphon_profile::MOST_MESSAGE_BYTES + 17);
    }

    #[test]
    fn the_end_of_a_piece_whose_beginning_is_missing_is_none() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(&[LAST, 7]), Joined::Spoilt);
        assert_eq!(joiner.take(&[]), Joined::Spoilt);
        assert_eq!(joiner.take(&[FIRST | 8]), Joined::Spoilt);
        assert_eq!(joiner.take(&[GREETING | LAST]), Joined::Spoilt);
    }

    #[test]
    fn a_piece_that_is_too_long_is_left_out() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(&[&[FIRST][..], &[7; 1000]].concat()), Joined::More);
        let more = [&[0][..], &[7; 1000]].concat();
        let taken = (0..200).take_while(|_| joiner.take(&more) == Joined::More).count();
        assert_eq!(taken, MOST_PIECE_BYTES / 1000 - 1);
        assert_eq!(joiner.take(&[LAST]), Joined::Spoilt);
    }
}
