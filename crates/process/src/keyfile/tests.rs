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
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
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
fn files_are_read_as_editors_and_volumes_leave_them() {
    let directory = directory();
    let path = directory.path().join("key");
    let content = format!("\u{feff}# antiphon identity key\r\n{}\r\n", "ab".repeat(32));
    std::fs::write(&path, content).unwrap();
    let (kind, secret) = read_any_secret(&path).unwrap();
    assert_eq!((kind, *secret), (Some(SecretKind::Identity), [0xab; 32]));
    #[cfg(unix)]
    {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(*read_any_secret(&link).unwrap().1, [0xab; 32]);
    }
}

#[cfg(unix)]
#[test]
fn a_secret_is_private_if_only_its_owner_or_the_group_of_a_service_reads_it() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let directory = directory();
    let path = directory.path().join("key");
    std::fs::write(&path, "").unwrap();
    let of_root = std::fs::metadata(&path).unwrap().uid() == 0;
    for (mode, open) in [
        (0o600, false),
        (0o400, false),
        (0o440, !of_root),
        (0o640, !of_root),
        (0o620, true),
        (0o604, true),
        (0o602, true),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(text::open_to_others(&path), open, "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let error = read_any_secret(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("/dev/zero") && error.contains("no regular file"), "{error}");
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
