use super::*;

fn identity(of: u8) -> Identity {
    Identity { agreement: [of; 32], signing: [of; 32] }
}

fn known() -> Acquaintance {
    let known = Acquaintance::new(identity(1), identity(2), SessionBinding([3; 32]));
    Acquaintance { verified: true, ..known }
}

#[test]
fn a_later_session_of_the_same_two_keeps_number_and_verification() {
    let mut contact = known();
    let number = contact.safety_number();
    // As after a restored backup.
    let change = contact.told(identity(1), identity(2), SessionBinding([9; 32]));
    assert_eq!(change, Change::None);
    assert!(change.explained("Carol").is_none());
    assert!(contact.verified && contact.safety_number() == number);
}

#[test]
fn another_identity_is_explained_and_has_to_be_compared_again() {
    let mut contact = known();
    let number = contact.safety_number();
    let change = contact.told(identity(1), identity(4), SessionBinding([9; 32]));
    assert_eq!(change, Change::Partner { was_verified: true });
    assert!(!contact.verified && contact.safety_number() != number);
    let words = change.explained("Carol").unwrap().to_string();
    for part in ["Carol has another identity", "had verified", "compare the new safety number"] {
        assert!(words.contains(part), "{words}");
    }
    let change = contact.told(identity(7), identity(4), SessionBinding([9; 32]));
    assert_eq!(change, Change::Own { was_verified: false });
    let words = change.explained("Carol").unwrap().to_string();
    assert!(words.starts_with("Your own identity") && !words.contains("had verified"), "{words}");
}

#[test]
fn a_session_that_the_partner_does_not_know_is_explained_without_blaming_its_identity() {
    let change = Change::Session { was_verified: true };
    let words = change.explained("Carol").unwrap().to_string();
    for part in ["does not know the safety number", "had verified", "an old copy", "compare"] {
        assert!(words.contains(part), "{words}");
    }
    assert!(!words.contains("another identity"), "{words}");
}

#[test]
fn a_new_contact_is_not_verified() {
    assert!(!Acquaintance::new(identity(1), identity(2), SessionBinding([3; 32])).verified);
}
