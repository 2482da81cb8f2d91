use proptest::prelude::*;

use super::*;

fn random(count: usize, seed: u64) -> CallBox {
    let mut expanded = blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof();
    let token = |_| {
        let mut bytes = [0; TOKEN_BYTES];
        expanded.fill(&mut bytes);
        Token::from_bytes(bytes)
    };
    CallBox::new((0..count).map(token).collect()).unwrap()
}

proptest! {
    #[test]
    fn a_box_is_read_as_it_was_written_whatever_order_its_tokens_came_in(
        mut bits in prop::collection::vec(0..1_u64 << 40, 0..60), equal in 0..4_usize,
    ) {
        bits.extend(bits.first().copied().into_iter().cycle().take(equal));
        let tokens: Vec<Token> = bits.iter().map(|&bits| Token::new(bits).unwrap()).collect();
        let turned: Vec<Token> = tokens.iter().rev().copied().collect();
        let written = CallBox::new(tokens).unwrap();
        prop_assert_eq!(&written, &CallBox::new(turned).unwrap());
        prop_assert_eq!(CallBox::from_bytes(&written.to_bytes()), Ok(written.clone()));
        prop_assert!(bits.iter().all(|&bits| written.holds(Token::new(bits).unwrap())));
    }

    #[test]
    fn what_is_read_is_written_the_same(
        count in 0..9_u32, body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = vec![1];
        bytes.extend(count.to_be_bytes());
        bytes.extend(body);
        if let Ok(read) = CallBox::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_byte_too_many_or_too_few_is_noticed(count in 1..40_usize, seed: u64) {
        let bytes = random(count, seed).to_bytes();
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(CallBox::from_bytes(&longer), Err(BoxError::Damaged));
        prop_assert_eq!(CallBox::from_bytes(&bytes[..bytes.len() - 1]), Err(BoxError::Damaged));
    }
}

#[test]
fn a_token_takes_less_than_thirty_bits_in_a_box_of_thousands() {
    for (count, most) in [(2_300, 30.4), (4_300, 29.5), (20_000, 27.3)] {
        let bits = 8.0 * (random(count, 3).to_bytes().len() - HEAD_BYTES) as f64 / count as f64;
        // The entropy of a random set of so many tokens.
        let entropy = f64::from(TOKEN_BITS) - (count as f64).log2() + std::f64::consts::LOG2_E;
        assert!(bits < most && bits < entropy + 0.1, "{count}: {bits} of {entropy}");
    }
}

#[test]
fn claims_of_more_than_there_can_be_are_refused_before_anything_is_kept() {
    let claim = |count: u32| [&[1], &count.to_be_bytes()[..], &[0xff; 16]].concat();
    assert_eq!(CallBox::from_bytes(&claim(u32::MAX)), Err(BoxError::TooMany(u32::MAX)));
    assert_eq!(CallBox::from_bytes(&claim(1 << 20)), Err(BoxError::Damaged));
    assert_eq!(CallBox::from_bytes(&claim(1)), Err(BoxError::Damaged));
    assert_eq!(CallBox::from_bytes(&[]), Err(BoxError::Damaged));
    assert_eq!(CallBox::from_bytes(&[1, 0]), Err(BoxError::Damaged));
    assert_eq!(CallBox::from_bytes(&[9, 0, 0, 0, 0]), Err(BoxError::Version(9)));
    assert_eq!(CallBox::from_bytes(&[1, 0, 0, 0, 0]), Ok(CallBox(Vec::new())));
}
