use bech32::{Bech32m, Hrp};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

const NETWORK: NetworkMark = NetworkMark([1, 2, 3, 4]);
const NOON: Timestamp = Timestamp(1_790_000_000_000);

fn codes(seed: u64) -> OwnCodes {
    let mut codes = OwnCodes::default();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let expiry = Expiry::at(NOON.plus_ms(3 * HOUR_MS));
    codes.make("for Carol", NETWORK, BoxAddress(7), expiry, &mut rng).unwrap();
    codes
}

fn code(seed: u64) -> ContactCode {
    *codes(seed).all()[0].code()
}

/// The text with another character in each of these places, counted from 1.
fn with(text: &str, changes: &[(usize, char)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for &(place, character) in changes {
        characters[place - 1] = character;
    }
    characters.into_iter().collect()
}

fn slips(error: CodeError) -> Vec<(usize, char, Option<char>)> {
    let CodeError::Wrong(slips) = error else { panic!("{error}") };
    slips.into_iter().map(|slip| (slip.place, slip.found, slip.meant)).collect()
}

/// Another character of the alphabet.
fn other(character: char, by: usize) -> char {
    const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let at = ALPHABET.find(character).unwrap();
    ALPHABET.chars().nth((at + by) % 32).unwrap()
}

proptest! {
    #[test]
    fn codes_are_written_as_the_bech32_crate_writes_them(seed: u64) {
        let code = code(seed);
        let hrp = Hrp::parse("antiphon").unwrap();
        let text = bech32::encode::<Bech32m>(hrp, &code.to_bytes()).unwrap();
        prop_assert_eq!(&text, &code.to_text());
        prop_assert_eq!(text.len(), CODE_CHARACTERS);
        prop_assert_eq!(ContactCode::parse(&text), Ok(code));
    }

    #[test]
    fn upper_case_spaces_and_line_breaks_do_not_matter(seed: u64, at in 0..CODE_CHARACTERS) {
        let code = code(seed);
        let text = code.to_text().to_uppercase();
        let text = format!("  {}\n\t{} ", &text[..at], &text[at..]);
        prop_assert_eq!(ContactCode::parse(&text), Ok(code));
    }

    #[test]
    fn one_wrong_character_is_named_with_the_right_one(
        seed: u64, place in 10..=CODE_CHARACTERS, by in 1..32_usize,
    ) {
        let text = code(seed).to_text();
        let right = text.chars().nth(place - 1).unwrap();
        let wrong = with(&text, &[(place, other(right, by))]);
        let told = slips(ContactCode::parse(&wrong).unwrap_err());
        prop_assert_eq!(told, [(place, other(right, by), Some(right))]);
    }

    #[test]
    fn a_character_that_codes_do_not_have_is_named_with_the_right_one(
        seed: u64, place in 10..=CODE_CHARACTERS, strange in prop::sample::select(vec!['b', 'i', 'o', '1', '-', 'ß']),
    ) {
        let text = code(seed).to_text();
        let right = text.chars().nth(place - 1).unwrap();
        let told = slips(ContactCode::parse(&with(&text, &[(place, strange)])).unwrap_err());
        prop_assert_eq!(told, [(place, strange, Some(right))]);
    }

    #[test]
    fn a_missing_character_and_one_too_many_are_found(seed: u64, at in 9..CODE_CHARACTERS, by in 0..32_usize) {
        let code = code(seed);
        let mut text = code.to_text();
        let there = text.remove(at);
        let error = ContactCode::parse(&text).unwrap_err();
        let CodeError::Missing { place, meant } = error else { panic!("{error}") };
        text.insert(place - 1, meant);
        prop_assert_eq!(ContactCode::parse(&text), Ok(code));
        text.insert(at, other(there, by));
        let error = ContactCode::parse(&text).unwrap_err();
        let CodeError::Extra { place, found } = error else { panic!("{error}") };
        prop_assert_eq!(text.remove(place - 1), found);
        prop_assert_eq!(ContactCode::parse(&text), Ok(code));
    }

    #[test]
    fn other_bytes_are_refused_or_written_the_same(mut bytes in prop::array::uniform32(any::<u8>()), version in 0..3u8) {
        bytes[0] = version;
        let mut all = [0; CODE_BYTES];
        all[..32].copy_from_slice(&bytes);
        match ContactCode::from_bytes(&all) {
            Ok(code) => prop_assert_eq!(code.to_bytes(), all),
            Err(error) => prop_assert_eq!(error, CodeBytesError::Version(version)),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(antiphon1)?[a-zA-Z0-9 ]{0,120}") {
        if let Ok(code) = ContactCode::parse(&text) {
            prop_assert_eq!(code.to_text(), text.to_lowercase().replace(' ', ""));
        }
    }

    #[test]
    fn a_kept_code_is_read_as_it_was_written(seed: u64, cut in 0..80_usize, at in 0..99_usize) {
        let codes = codes(seed);
        let bytes = codes.all()[0].to_bytes();
        let read = OwnCode::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.to_bytes(), bytes.clone());
        prop_assert!(OwnCode::from_bytes(&bytes[..cut]).is_err());
        let mut damaged = bytes.clone();
        damaged[at % 34] ^= 1 << 3;
        prop_assert!(OwnCode::from_bytes(&damaged).is_err(), "the two versions and the secret key");
    }
}

#[test]
fn two_wrong_characters_are_both_named_nearly_always_and_never_others() {
    let mut located = 0;
    for seed in 0..200_u64 {
        let text = code(seed).to_text();
        let (one, another) = (10 + seed as usize % 49, 59 + (7 * seed) as usize % 49);
        let at = |place: usize| text.chars().nth(place - 1).unwrap();
        let changed = |place: usize, by: u64| other(at(place), 1 + (by % 31) as usize);
        let changes = [(one, changed(one, seed)), (another, changed(another, seed / 3))];
        match ContactCode::parse(&with(&text, &changes)).unwrap_err() {
            CodeError::Checksum => {}
            error => {
                located += 1;
                let meant = [
                    (one, changes[0].1, Some(at(one))),
                    (another, changes[1].1, Some(at(another))),
                ];
                assert_eq!(slips(error), meant);
            }
        }
    }
    assert!(located > 190, "{located}");
}

#[test]
fn two_neighbours_that_changed_places_are_named() {
    let text = code(5).to_text();
    let (a, b) = (text.chars().nth(40).unwrap(), text.chars().nth(41).unwrap());
    assert_ne!(a, b);
    let error = ContactCode::parse(&with(&text, &[(41, b), (42, a)])).unwrap_err();
    assert!(error.to_string().contains(&format!("character 41, \"{b}\"")), "{error}");
    assert_eq!(slips(error), [(41, b, Some(a)), (42, a, Some(b))]);
}

#[test]
fn each_kind_of_wrong_text_has_an_error_of_its_own() {
    let text = code(1).to_text();
    assert_eq!(ContactCode::parse(" \n"), Err(CodeError::Empty));
    let of_bitcoin = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    assert_eq!(ContactCode::parse(of_bitcoin), Err(CodeError::Prefix("bc1qw508d".into())));
    let mixed = text[..50].to_uppercase() + &text[50..];
    assert_eq!(ContactCode::parse(&mixed), Err(CodeError::MixedCase));
    assert_eq!(ContactCode::parse(&text[..60]), Err(CodeError::Truncated { found: 60 }));
    let twice = [&text[..], &text].concat();
    assert_eq!(ContactCode::parse(&twice), Err(CodeError::TooLong { found: 214 }));
    let changes = [(20, 'q'), (21, 'q'), (22, 'q'), (23, 'q'), (24, 'q'), (25, 'q')];
    assert_eq!(ContactCode::parse(&with(&text, &changes)), Err(CodeError::Checksum));
    let mut newer = code(1).to_bytes();
    newer[0] = 2;
    let newer = ContactCode::parse(&text::write(&newer));
    assert_eq!(newer, Err(CodeError::Bytes(CodeBytesError::Version(2))));
}

#[test]
fn keys_with_which_everybody_agrees_on_zeros_are_refused() {
    let mut bytes = code(1).to_bytes();
    // Two of the points of low order: 0 and 1.
    for first in [0, 1] {
        bytes[6..38].fill(0);
        bytes[6] = first;
        assert_eq!(ContactCode::from_bytes(&bytes), Err(CodeBytesError::Key));
    }
}

#[test]
fn a_code_is_refused_when_it_is_over_ones_own_or_of_another_network() {
    let own = codes(1);
    let others = code(2);
    assert_eq!(others.admit(NETWORK, NOON, &own), Ok(others));
    let later = NOON.plus_ms(5 * HOUR_MS);
    assert_eq!(others.admit(NETWORK, later, &own), Err(CodeRefusal::Expired(1)));
    let mine = *own.all()[0].code();
    assert_eq!(mine.admit(NETWORK, NOON, &own), Err(CodeRefusal::Own("for Carol".into())));
    let elsewhere = NetworkMark([9; 4]);
    assert_eq!(others.admit(elsewhere, NOON, &own), Err(CodeRefusal::Network));
    let endless = ContactCode { expiry: Expiry::NEVER, ..others };
    assert_eq!(endless.admit(NETWORK, Timestamp(u64::MAX), &own), Ok(endless));
}

#[test]
fn a_code_lasts_to_the_end_of_the_hour_that_was_asked_for() {
    let expiry = Expiry::at(Timestamp(10 * HOUR_MS + 5));
    assert!(!expiry.is_over(Timestamp(11 * HOUR_MS - 1)));
    assert!(expiry.is_over(Timestamp(11 * HOUR_MS)));
    assert_eq!(Expiry::at(Timestamp(u64::MAX)), Expiry::NEVER);
}

#[test]
fn two_codes_of_a_user_have_nothing_in_common_but_network_and_box() {
    let mut codes = codes(1);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    codes.make("for Dave", NETWORK, BoxAddress(7), Expiry::NEVER, &mut rng).unwrap();
    let [one, other] = [0, 1].map(|i| codes.all()[i].code().to_bytes());
    assert_eq!(one[..6], other[..6]);
    // A byte in 256 is the same by chance.
    assert!((6..54).filter(|&i| one[i] == other[i]).count() < 6);
}

#[test]
fn codes_are_labelled_bounded_revoked_and_forgotten() {
    let mut codes = codes(1);
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let mut make = |codes: &mut OwnCodes, label: &str| {
        codes.make(label, NETWORK, BoxAddress(7), Expiry::NEVER, &mut rng).err()
    };
    let label = |error| Some(MakeError::Label(error));
    assert_eq!(make(&mut codes, "for Carol"), Some(MakeError::Taken("for Carol".into())));
    assert_eq!(make(&mut codes, " "), label(LabelError::Empty));
    assert_eq!(make(&mut codes, "a\nb"), label(LabelError::Control));
    assert_eq!(make(&mut codes, &"x".repeat(65)), label(LabelError::Long(65)));
    for i in 1..MOST_CODES {
        assert_eq!(make(&mut codes, &i.to_string()), None);
    }
    assert_eq!(make(&mut codes, "one more"), Some(MakeError::TooMany));
    assert!(codes.revoke("5") && !codes.revoke("5"));
    assert_eq!(make(&mut codes, "one more"), None);
    // Boxes from before its end can be read as long as they are kept.
    codes.forget(NOON.plus_ms(4 * HOUR_MS + crate::KEPT_MS - HOUR_MS));
    assert_eq!(codes.all()[0].label(), "for Carol");
    codes.forget(NOON.plus_ms(5 * HOUR_MS + crate::KEPT_MS));
    assert_eq!(codes.all()[0].label(), "1");
}
