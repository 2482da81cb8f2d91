use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use super::*;

fn phrase(seed: u64) -> Phrase {
    Phrase::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

/// The phrase's text with another word in one place, from 0.
fn with(phrase: &Phrase, at: usize, word: &str) -> String {
    let text = phrase.to_text();
    let mut words: Vec<&str> = text.split(' ').collect();
    words[at] = word;
    words.join(" ")
}

proptest! {
    #[test]
    fn a_phrase_is_read_as_it_was_written(seed: u64) {
        let phrase = phrase(seed);
        let text = phrase.to_text();
        prop_assert_eq!(text.split(' ').count(), PHRASE_WORDS);
        prop_assert_eq!(Phrase::parse(&text), Ok(phrase.clone()));
        let spoken = format!("  {}. ", text.to_uppercase().replace(' ', " -\n"));
        prop_assert_eq!(Phrase::parse(&spoken), Ok(phrase));
    }

    #[test]
    fn a_word_that_is_not_on_the_list_is_named_with_the_nearest(seed: u64, at in 0..PHRASE_WORDS) {
        let wrong = with(&phrase(seed), at, "abandonn");
        let told = UnknownWord { place: at + 1, word: "abandonn".into(), nearest: "abandon" };
        prop_assert_eq!(Phrase::parse(&wrong), Err(PhraseError::Unknown(vec![told])));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Ok(phrase) = Phrase::parse(&text) {
            prop_assert!(phrase.holds());
        }
    }
}

#[test]
fn the_list_is_that_of_bip_39_and_a_word_is_known_by_its_first_four_letters() {
    let list = include_bytes!("../../words/english.txt");
    let hash: [u8; 32] = Sha256::digest(list).into();
    // As published with BIP 39.
    assert_eq!(hash[..8], [0x2f, 0x5e, 0xed, 0x53, 0xa4, 0x72, 0x7b, 0x4b]);
    assert_eq!(words::all().len(), words::WORDS);
    assert!(words::all().is_sorted());
    let beginnings = words::all().iter().map(|word| &word[..word.len().min(4)]);
    let beginnings: std::collections::BTreeSet<_> = beginnings.collect();
    assert_eq!(beginnings.len(), words::WORDS);
}

#[test]
fn fifty_bits_are_random_and_each_of_them_makes_another_phrase() {
    assert_eq!(PHRASE_BITS, 50);
    let base = Phrase::of_bits(0);
    for bit in 0..PHRASE_BITS {
        let other = Phrase::of_bits(1 << bit);
        assert!(other.holds());
        assert!(other != base);
        assert_eq!(other.bits() >> CHECK_BITS, 1 << bit);
    }
}

#[test]
fn of_words_that_somebody_thought_of_one_phrase_in_32_passes() {
    let mut state = 1_u64;
    let mut chosen = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Phrase(std::array::from_fn(|i| (state >> (9 + 11 * i) & 0x7ff) as u16))
    };
    let passed = (0..32_000).filter(|_| chosen().holds()).count();
    // Mean 1000, and 31 the standard deviation.
    assert!((850..1150).contains(&passed), "{passed}");
    let passphrase = Phrase::parse("correct horse kitchen secret good");
    assert!(matches!(passphrase, Err(PhraseError::Check(_))), "{passphrase:?}");
}

#[test]
fn a_similar_word_or_two_that_changed_places_are_suggested_and_the_rest_is_refused() {
    let (mut words, mut swapped, mut refused) = (0, 0, 0);
    for seed in 0..60 {
        let phrase = phrase(seed);
        let mut turned = phrase.clone();
        turned.0.swap(1, 2);
        if turned.0 == phrase.0 {
            continue;
        }
        match Phrase::parse(&turned.to_text()) {
            Err(PhraseError::Check(suggestion)) => {
                refused += 1;
                swapped += usize::from(suggestion == Some(Suggestion::Swapped(2, 3)));
            }
            other => assert!(other.is_ok()),
        }
        let right = words::at(phrase.0[4]);
        let Some(similar) = nearest::similar(right).next() else { continue };
        if let Err(PhraseError::Check(Some(suggestion))) =
            Phrase::parse(&with(&phrase, 4, words::at(similar)))
        {
            let named = Suggestion::Word { place: 5, given: words::at(similar), meant: right };
            words += usize::from(suggestion == named);
        }
    }
    assert!(refused > 50, "{refused}");
    assert!(swapped > 25, "{swapped}");
    assert!(words > 5, "{words}");
}

#[test]
fn too_few_and_too_many_words_are_counted() {
    assert_eq!(Phrase::parse(""), Err(PhraseError::Count(0)));
    assert_eq!(Phrase::parse("zoo zoo zoo zoo"), Err(PhraseError::Count(4)));
    assert_eq!(Phrase::parse("zoo zoo zoo zoo zoo zoo"), Err(PhraseError::Count(6)));
}
