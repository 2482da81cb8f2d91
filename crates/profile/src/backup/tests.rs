//! Backups: what is in them, what is not, and every way in which one can be broken.

use std::fs;

use antiphon_process::kept_file::owners_only;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::frames::SEALED_FRAME_BYTES;
use super::*;
use crate::event::EventId;
use crate::keepsake::{Keepsake, KeepsakeKind, SessionState};
use crate::message::{ContactId, MessageState};
use crate::store::Submission;

const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_796_045_285_000);
const CONTACT: ContactId = ContactId([7; 16]);

fn unlock() -> Unlock {
    Unlock::passphrase("correct horse")
}

/// A profile in a folder, with keepsakes, messages and a session, and a backup of it.
struct Setup {
    folder: tempfile::TempDir,
    profile: Profile,
    rng: ChaCha20Rng,
}

impl Setup {
    fn new(messages: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let path = folder.path().join("profile");
        let mut profile = Profile::create(&path, &unlock(), CHEAP, NOW, &mut rng).unwrap();
        let store = profile.store_mut();
        for kind in KeepsakeKind::ALL {
            let (name, bytes) = (format!("the {}", kind.name()), vec![kind as u8; 40]);
            store.keep_keepsake(Keepsake { kind, name, version: 1, bytes }, &mut rng).unwrap();
        }
        for i in 0..messages {
            let body = format!("message {i} {}", "x".repeat(1000));
            let submission = Submission { contact: CONTACT, body: body.as_bytes(), key: None };
            store.submit(NOW, submission, &mut rng).unwrap();
        }
        let bytes = b"a ratchet that must not be used twice".to_vec();
        store.keep_session(SessionState { contact: CONTACT, version: 1, bytes }, &mut rng).unwrap();
        Self { folder, profile, rng }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn back_up(&mut self, with_messages: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let store = self.profile.store();
        store.back_up(NOW, &unlock(), CHEAP, with_messages, &mut out, &mut self.rng).unwrap();
        out
    }

    /// What comes of restoring these bytes.
    fn restore(&mut self, bytes: &[u8]) -> Result<(Profile, BackupSummary), RestoreError> {
        fs::write(self.path("backup"), bytes).unwrap();
        let backup = Backup::open(&self.path("backup"), &unlock())?;
        let folder = self.path("restored");
        let restored = backup.restore(&folder, &unlock(), CHEAP, NOW, &mut self.rng, |profile| {
            let mut options = fs::OpenOptions::new();
            let options = owners_only(options.write(true).create_new(true));
            options.open(profile.witness_file())?.write_all(b"marked")
        });
        if restored.is_err() {
            assert!(!folder.exists(), "something was made of a backup that is not whole");
        }
        restored
    }

    fn refusal(&mut self, bytes: &[u8]) -> String {
        self.restore(bytes).map(|(_, summary)| summary).unwrap_err().to_string()
    }
}

#[test]
fn a_restored_profile_has_what_the_user_keeps_and_never_a_session() {
    let mut setup = Setup::new(100);
    let id = setup.profile.store().messages(CONTACT, 0, 1).unwrap()[0].id;
    setup.profile.store_mut().fail(NOW, id, "no luck", &mut setup.rng).unwrap();
    let bytes = setup.back_up(true);
    let (profile, summary) = setup.restore(&bytes).unwrap();
    let expected = BackupSummary { made_at: NOW, keepsakes: 5, messages: 100 };
    assert_eq!(summary, expected);
    let (old, new) = (setup.profile.store(), profile.store());
    assert_eq!(new.keepsakes().unwrap(), old.keepsakes().unwrap());
    let messages = new.messages(CONTACT, 0, 1000).unwrap();
    assert_eq!(messages, old.messages(CONTACT, 0, 1000).unwrap());
    assert_eq!(messages[0].state, MessageState::Failed { why: "no luck".to_owned() });
    assert!(old.session(CONTACT).unwrap().is_some());
    assert_eq!(new.session(CONTACT).unwrap(), None);
    let events = new.events_after(EventId(0), 10).unwrap();
    assert_eq!(
        events.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventKind::Restored { made_at: NOW }]
    );
    assert_eq!(fs::read(profile.witness_file()).unwrap(), b"marked");
    // The restored profile is one that can be opened again.
    let folder = profile.folder().to_owned();
    drop(profile);
    Profile::open(&folder, &unlock(), NOW, &mut setup.rng).unwrap();
}

#[test]
fn messages_are_in_a_backup_only_if_wished_and_its_size_is_a_number_of_frames() {
    let mut setup = Setup::new(100);
    let (short, long) = (setup.back_up(false), setup.back_up(true));
    let frames =
        |bytes: &[u8]| (bytes.len() - BACKUP_HEADER_BYTES) as f64 / SEALED_FRAME_BYTES as f64;
    assert_eq!((frames(&short), frames(&long)), (1.0, 2.0));
    let (profile, summary) = setup.restore(&short).unwrap();
    assert_eq!((summary.keepsakes, summary.messages), (5, 0));
    assert_eq!(profile.store().counts().messages, 0);
}

#[test]
fn a_backup_that_is_not_whole_is_refused_in_words_and_nothing_is_made() {
    let mut setup = Setup::new(200);
    let whole = setup.back_up(true);
    let frame = |i: usize| BACKUP_HEADER_BYTES + i * SEALED_FRAME_BYTES;
    assert_eq!(whole.len(), frame(4));
    // Cut short, inside a frame and between two.
    for length in [frame(3), frame(3) + 9, frame(2) + 1, frame(1), frame(0) + 3, frame(0)] {
        let words = setup.refusal(&whole[..length]);
        assert!(words.starts_with("this backup was cut short"), "{length}: {words}");
    }
    let mut changed = whole.clone();
    changed[frame(2) + 100] ^= 1;
    assert!(setup.refusal(&changed).starts_with("frame 2 of this backup was changed"));
    let swapped = [
        &whole[..frame(1)],
        &whole[frame(2)..frame(3)],
        &whole[frame(1)..frame(2)],
        &whole[frame(3)..],
    ]
    .concat();
    assert!(setup.refusal(&swapped).starts_with("frame 1 of this backup was changed or is not"));
    let dropped = [&whole[..frame(1)], &whole[frame(2)..]].concat();
    assert!(setup.refusal(&dropped).starts_with("frame 1 of this backup"));
    let longer = [&whole[..], &[0; 70_000]].concat();
    assert!(setup.refusal(&longer).starts_with("frame 3 of this backup"));
    // Every byte of the header counts: it is bound to every frame.
    for at in 0..BACKUP_HEADER_BYTES {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        setup.refusal(&changed);
    }
    let mut newer = whole.clone();
    newer[9] = 2;
    assert!(setup.refusal(&newer).contains("a newer version of Antiphon (backup version 2)"));
    assert!(setup.refusal(b"something else").starts_with("this is no backup of Antiphon"));
    assert!(setup.refusal(b"").starts_with("this is no backup of Antiphon"));
    setup.restore(&whole).unwrap();
}

#[test]
fn a_wrong_passphrase_is_refused_in_words() {
    let mut setup = Setup::new(1);
    let bytes = setup.back_up(true);
    fs::write(setup.path("backup"), bytes).unwrap();
    let wrong = Backup::open(&setup.path("backup"), &Unlock::passphrase("wrong horse")).unwrap();
    let words = wrong.read(|_| Ok::<_, BackupError>(())).unwrap_err().to_string();
    assert!(words.starts_with("the passphrase is not that of this backup"), "{words}");
    let key = Unlock::KeyFile(zeroize::Zeroizing::new([1; 32]));
    let words = Backup::open(&setup.path("backup"), &key).unwrap_err().to_string();
    assert_eq!(words, "this backup opens with a passphrase, not with a key file");
}

#[test]
fn any_damage_is_refused() {
    let mut setup = Setup::new(3);
    let whole = setup.back_up(true);
    for _ in 0..50 {
        let mut changed = whole.clone();
        let at = setup.rng.random_range(0..changed.len());
        changed[at] ^= 1 << setup.rng.random_range(0..8);
        setup.refusal(&changed);
    }
}
