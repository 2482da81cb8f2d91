use antiphon_wire::{Digest, Epoch, IdentityKey, OperatorIndex};
use proptest::prelude::*;

use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn list(shards: Vec<IdentityKey>) -> Signed<OperatorList> {
    let list = OperatorList {
        network: Digest([1; 32]),
        operator: OperatorIndex(2),
        number: 3,
        first_epoch: Epoch(4),
        last_epoch: Epoch(5),
        shards,
    };
    Signed::new(list, &SigningKey::from_bytes(&[9; 32]))
}

#[test]
fn secrets_come_back_and_are_never_overwritten() {
    let directory = directory();
    let path = directory.path().join("key");
    write_secret(&path, SecretKind::Identity, &[7; 32]).unwrap();
    assert_eq!(read_signing_key(&path).unwrap().to_bytes(), [7; 32]);
    assert_eq!(read_any_secret(&path).unwrap().0, Some(SecretKind::Identity));
    let again = write_secret(&path, SecretKind::Identity, &[8; 32]).unwrap_err();
    assert!(matches!(again, KeyFileError::Exists(_)));
    assert_eq!(read_signing_key(&path).unwrap().to_bytes(), [7; 32]);
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = directory();
    let path = directory.path().join("key");
    write_secret(&path, SecretKind::Conversation, &[7; 32]).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!text::open_to_others(&path));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(text::open_to_others(&path));
}

#[test]
fn one_kind_is_not_taken_for_another() {
    let directory = directory();
    let [identity, conversation] = ["identity", "conversation"].map(|f| directory.path().join(f));
    write_secret(&identity, SecretKind::Identity, &[7; 32]).unwrap();
    write_secret(&conversation, SecretKind::Conversation, &[7; 32]).unwrap();
    let error = read_signing_key(&conversation).unwrap_err().to_string();
    assert!(error.contains("holds a conversation secret"), "{error}");
    let error = read_secret32(&identity).unwrap_err().to_string();
    assert!(error.contains("holds an identity key"), "{error}");
    assert_eq!(*read_secret32(&conversation).unwrap(), [7; 32]);
}

#[test]
fn plain_digits_are_enough_and_errors_show_no_digits() {
    let directory = directory();
    let path = directory.path().join("key");
    std::fs::write(&path, format!("  {}\r\n# mine\n", "Ab".repeat(32))).unwrap();
    assert_eq!(*read_secret32(&path).unwrap(), [0xab; 32]);
    for wrong in ["", "ab", &"ab".repeat(33), &format!("{}xy", "ab".repeat(31))] {
        std::fs::write(&path, wrong).unwrap();
        let error = read_secret32(&path).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
        assert!(!error.contains("abab"), "{error}");
    }
    std::fs::write(&path, "#".repeat(MAX_SECRET_FILE + 1)).unwrap();
    assert!(read_secret32(&path).unwrap_err().to_string().contains("larger"));
    let missing = read_secret32(&directory.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("missing"));
}

#[test]
fn lists_come_back_with_their_signature() {
    let directory = directory();
    let path = directory.path().join("list");
    let signed = list((0..200).map(|i| IdentityKey([i; 32])).collect());
    write_operator_list(&path, &signed, &["of operator\nnumber 2".to_owned()]).unwrap();
    assert_eq!(read_operator_list(&path).unwrap(), signed);
    std::fs::write(&path, "# antiphon operator list\nabcd\n").unwrap();
    let error = read_operator_list(&path).unwrap_err().to_string();
    assert!(error.contains("keygen operator-list"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_is_read_or_refused(content: Vec<u8>) {
        let directory = directory();
        let path = directory.path().join("any");
        std::fs::write(&path, &content).unwrap();
        let _ = read_any_secret(&path);
        let _ = read_operator_list(&path);
    }

    #[test]
    fn any_digits_are_a_list_only_in_exact_form(bytes: Vec<u8>) {
        let directory = directory();
        let path = directory.path().join("any");
        std::fs::write(&path, hex::encode(&bytes)).unwrap();
        if let Ok(list) = read_operator_list(&path) {
            prop_assert_eq!(list.to_bytes(), bytes);
        }
    }
}
