//! Key files: whole, private, and errors that name them.

use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secrets").join("a.key");
    (directory, path)
}

#[test]
fn what_is_written_is_read_back_and_replaced_whole() {
    let (_directory, path) = place();
    write_private(&path, b"a much longer first text").expect("written");
    write_private(&path, b"second").expect("written");
    assert_eq!(read_private(&path).expect("read").expose(), "second");
    write_public(&path, b"third").expect("written");
    assert_eq!(read_public(&path).expect("read"), "third");
    let names: Vec<_> = fs::read_dir(path.parent().expect("a parent")).expect("listed").collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
}

#[test]
fn a_failed_write_leaves_nothing_behind_and_names_the_file() {
    let (directory, _) = place();
    let occupied = directory.path().join("occupied");
    fs::create_dir_all(occupied.join("inside")).expect("created");
    let error = write_private(&occupied, b"x").expect_err("a directory is in the way");
    assert!(error.to_string().starts_with("replace "), "{error}");
    assert!(error.to_string().ends_with("occupied"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    assert!(write_private(Path::new("/"), b"x").is_err());
}

#[test]
fn a_missing_or_huge_or_binary_file_is_an_error_that_names_it() {
    let (directory, path) = place();
    let error = read_private(&path).expect_err("missing");
    assert!(error.to_string().starts_with("open ") && error.to_string().ends_with("a.key"), "{error}");
    for (name, content) in [("huge", vec![b'x'; 1024 * 1024 + 1]), ("binary", vec![0xff, 0xfe])] {
        let path = directory.path().join(name);
        write_private(&path, &content).expect("written");
        let error = read_private(&path).expect_err(name);
        assert!(error.to_string().starts_with("read "), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_use_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_directory, path) = place();
    write_private(&path, b"key").expect("written");
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a parent")), 0o700);
    for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        let error = read_private(&path).expect_err("exposed");
        assert!(matches!(&error, CryptoError::Exposed { mode: found, .. } if *found == mode), "{error}");
        assert!(error.to_string().contains(&format!("{mode:o}")), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("changed");
    assert!(read_private(&path).is_ok());
    write_public(&path, b"certificate").expect("written");
    assert_eq!(mode(&path) & 0o077, 0o044 & mode(&path));
}
