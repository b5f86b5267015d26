use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.lock");
    (dir, path)
}

#[test]
fn a_second_holder_is_refused_and_told_who_the_first_is() {
    let (_dir, path) = place();
    let _lock = Lock::acquire(&path).unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    let pid = std::process::id();
    assert_eq!(
        error.to_string(),
        format!("another inferd-daemon is running: process {pid} holds {}", path.display())
    );
    let LockError::AlreadyHeld(holder) = error else { panic!("{error}") };
    assert_eq!(holder, Holder { path, pid: Some(pid) });
}

#[test]
fn a_holder_that_left_no_pid_is_still_a_holder() {
    let (_dir, path) = place();
    let lock = Lock::acquire(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    assert!(matches!(&error, LockError::AlreadyHeld(Holder { pid: None, .. })), "{error}");
    drop(lock);
}

#[test]
fn a_dropped_lock_can_be_taken_again_and_its_file_stays() {
    let (_dir, path) = place();
    drop(Lock::acquire(&path).unwrap());
    assert!(path.is_file());
    drop(Lock::acquire(&path).unwrap());
}

#[test]
fn a_file_left_by_a_crash_is_taken_over() {
    let (_dir, path) = place();
    std::fs::write(&path, "4294967295\nand more that nobody wrote").unwrap();
    let _lock = Lock::acquire(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
}

#[test]
fn a_directory_in_the_way_is_refused_and_left_alone() {
    let (_dir, path) = place();
    std::fs::create_dir(&path).unwrap();
    let error = Lock::acquire(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a regular file", path.display()));
    assert!(path.is_dir());
}

#[test]
fn a_missing_directory_is_an_io_error() {
    let (_dir, path) = place();
    assert!(matches!(Lock::acquire(path.join("deeper")), Err(LockError::Io(_))));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_symlink_is_refused_and_what_it_names_is_untouched() {
        let (dir, path) = place();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, &path).unwrap();
        let error = Lock::acquire(&path).unwrap_err();
        assert!(matches!(error, LockError::Symlink(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_symlink_to_nothing_makes_no_file() {
        let (dir, path) = place();
        symlink(dir.path().join("nothing"), &path).unwrap();
        assert!(matches!(Lock::acquire(&path), Err(LockError::Symlink(_))));
        assert!(!dir.path().join("nothing").exists());
    }

    #[test]
    fn a_link_is_not_followed_even_when_it_appears_after_the_look() {
        let (dir, path) = place();
        symlink(dir.path().join("nothing"), &path).unwrap();
        open(&path).unwrap_err();
        assert!(!dir.path().join("nothing").exists());
    }

    #[test]
    fn a_socket_in_the_way_is_refused() {
        let (_dir, path) = place();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(Lock::acquire(&path), Err(LockError::NotARegularFile(_))));
    }

    #[test]
    fn the_file_is_the_owners_alone() {
        let (_dir, path) = place();
        let _lock = Lock::acquire(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
