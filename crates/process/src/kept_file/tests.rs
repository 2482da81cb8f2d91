use std::fs;

use super::*;

#[test]
fn a_second_user_is_refused_and_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let first = KeptFile::take(&path).unwrap();
    first.replace(b"1").unwrap();
    let Err(LockError::InUse { holder, .. }) = KeptFile::take(&path) else {
        panic!("taken twice");
    };
    assert_eq!(holder, format!("process {}", std::process::id()));
    drop(first);
    assert_eq!(KeptFile::take(&path).unwrap().read(99).unwrap().unwrap(), b"1");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_its_target_is_replaced_and_locked() {
    let folder = tempfile::tempdir().unwrap();
    let (here, kept) = (folder.path().join("state"), folder.path().join("kept"));
    fs::create_dir(&kept).unwrap();
    // To a link, to nothing that exists yet.
    std::os::unix::fs::symlink("kept/other", &here).unwrap();
    std::os::unix::fs::symlink("state", kept.join("other")).unwrap();
    let file = KeptFile::take(&here).unwrap();
    assert_eq!(file.read(99).unwrap(), None);
    file.replace(b"new").unwrap();
    assert!(fs::symlink_metadata(&here).unwrap().is_symlink());
    assert_eq!(fs::read(kept.join("state")).unwrap(), b"new");
    assert!(matches!(KeptFile::take(&kept.join("state")), Err(LockError::InUse { .. })));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    fs::write(folder.path().join("state.new"), b"left behind").unwrap();
    KeptFile::take(&path).unwrap().replace(b"1").unwrap();
    for file in ["state", "state.lock"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn files_beside_one_are_found_by_their_names_and_removed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeptFile::take(&folder.path().join("state")).unwrap();
    file.replace(b"0").unwrap();
    for suffix in [".epoch-1", ".epoch-2", ".other"] {
        file.beside(suffix).replace(suffix.as_bytes()).unwrap();
    }
    fs::write(folder.path().join("else.epoch-3"), b"another's").unwrap();
    let found = |file: &KeptFile| {
        let mut found = file.suffixes(".epoch-").unwrap();
        found.sort();
        found
    };
    assert_eq!(found(&file), [".epoch-1", ".epoch-2"]);
    file.beside(".epoch-1").remove().unwrap();
    file.beside(".epoch-1").remove().unwrap();
    assert_eq!(found(&file), [".epoch-2"]);
    assert_eq!(file.beside(".epoch-2").read(99).unwrap().unwrap(), b".epoch-2");
    assert_eq!(file.read(99).unwrap().unwrap(), b"0");
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_content_or_the_new() {
    for (steps, seed) in (0..6).flat_map(|steps| (0..16).map(move |seed| (steps, seed))) {
        let disk = FailingDisk::new(seed);
        let file = KeptFile::on(disk.clone());
        file.replace(b"the old").unwrap();
        disk.power_for(Some(steps));
        let replaced = file.replace(b"the new one");
        disk.crash(None);
        let found = file.read(99).unwrap().unwrap();
        match replaced {
            Ok(()) => assert_eq!(found, b"the new one", "{steps} steps"),
            Err(_) => assert!(
                [&b"the old"[..], b"the new one"].contains(&found.as_slice()),
                "{steps} steps: {}",
                found.escape_ascii()
            ),
        }
        file.replace(b"the next").unwrap();
        disk.crash(None);
        assert_eq!(file.read(99).unwrap().unwrap(), b"the next");
    }
}
