use proptest::prelude::*;

use super::*;

fn identity(of: u8) -> Identity {
    Identity { agreement: [of; 32], signing: [of ^ 0x55; 32] }
}

fn identities() -> impl Strategy<Value = Identity> {
    any::<([u8; 32], [u8; 32])>().prop_map(|(agreement, signing)| Identity { agreement, signing })
}

proptest! {
    #[test]
    fn both_ends_have_the_same_number(one in identities(), other in identities(), session: [u8; 32]) {
        let session = SessionBinding(session);
        let mine = SafetyNumber::new(&one, &other, &session);
        let partners = SafetyNumber::new(&other, &one, &session);
        prop_assert_eq!(mine.to_string(), partners.to_string());
        prop_assert_eq!(mine.compare(&partners.qr_bytes()), Ok(Comparison::Same));
    }

    #[test]
    fn every_bit_of_either_identity_and_of_the_session_changes_number_and_qr_code(bit in 0..160 * 8_usize) {
        let mut bytes = [7; 160];
        let number = |bytes: &[u8; 160]| {
            let part = |i: usize| -> [u8; 32] { bytes[32 * i..][..32].try_into().unwrap() };
            let identity = |i: usize| Identity { agreement: part(i), signing: part(i + 1) };
            SafetyNumber::new(&identity(0), &identity(2), &SessionBinding(part(4)))
        };
        let before = number(&bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let after = number(&bytes);
        prop_assert_ne!(before.to_string(), after.to_string());
        prop_assert_eq!(before.compare(&after.qr_bytes()), Ok(Comparison::Different));
    }

    #[test]
    fn other_qr_codes_are_no_safety_numbers(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let number = SafetyNumber::new(&identity(1), &identity(2), &SessionBinding([3; 32]));
        let told = number.compare(&bytes);
        if bytes.len() != QR_BYTES {
            prop_assert_eq!(told, Err(ScanError::NotOne));
        } else if bytes[0] != 1 {
            prop_assert_eq!(told, Err(ScanError::Version(bytes[0])));
        }
    }
}

#[test]
fn a_number_has_sixty_digits_in_groups_of_five() {
    let number = SafetyNumber::new(&identity(1), &identity(2), &SessionBinding([3; 32]));
    let text = number.to_string();
    assert_eq!(text.lines().count(), 3);
    let groups: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(groups.len(), 12);
    assert!(
        groups.iter().all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit()))
    );
}
