use super::*;

fn on(system: System, pairs: &[(&str, &str)]) -> Paths {
    let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    Paths::on(system, env, 1000)
}

fn runtime_dir(system: System, pairs: &[(&str, &str)]) -> PathBuf {
    on(system, pairs).runtime_dir
}

#[test]
fn sockets_and_lock_are_in_the_runtime_directory() {
    let paths = on(System::Unix, &[("XDG_RUNTIME_DIR", "/run/user/1000"), ("HOME", "/home/u")]);
    assert_eq!(paths.runtime_dir, Path::new("/run/user/1000/inferd"));
    assert_eq!(paths.local, Path::new("/run/user/1000/inferd/infer.sock"));
    assert_eq!(paths.admin, Path::new("/run/user/1000/inferd/admin.sock"));
    assert_eq!(paths.lock, Path::new("/run/user/1000/inferd/daemon.lock"));
}

#[test]
fn the_runtime_directory_falls_back_to_home_and_then_to_tmp() {
    let home = ("HOME", "/home/u");
    assert_eq!(runtime_dir(System::Unix, &[home]), Path::new("/home/u/.inferd/run"));
    assert_eq!(runtime_dir(System::Unix, &[("XDG_RUNTIME_DIR", ""), home]), Path::new("/home/u/.inferd/run"));
    assert_eq!(runtime_dir(System::Unix, &[("HOME", "relative")]), Path::new("/tmp/inferd-1000"));
    assert_eq!(runtime_dir(System::MacOs, &[("TMPDIR", "/var/t"), home]), Path::new("/var/t/inferd"));
    assert_eq!(runtime_dir(System::MacOs, &[]), Path::new("/tmp/inferd-1000"));
}

#[test]
fn on_windows_the_sockets_are_pipes() {
    let paths = on(System::Windows, &[("LOCALAPPDATA", "/local")]);
    assert_eq!(paths.local, Path::new(r"\\.\pipe\inferd-infer"));
    assert_eq!(paths.admin, Path::new(r"\\.\pipe\inferd-admin"));
    assert_eq!(paths.lock, Path::new("/local/inferd/daemon.lock"));
}

#[test]
fn a_named_runtime_directory_comes_before_all_others() {
    let paths = on(System::Unix, &[("INFERD_RUNTIME_DIR", "/srv/i"), ("XDG_RUNTIME_DIR", "/run/user/1000")]);
    assert_eq!(paths, Paths::in_dir("/srv/i"));
    assert_eq!(paths.lock, Path::new("/srv/i/daemon.lock"));
}

#[test]
fn state_outlives_a_session_of_the_user_and_is_apart_for_a_daemon_set_apart() {
    let home = ("HOME", "/home/u");
    let state = |system, pairs: &[(&str, &str)]| on(system, pairs).state;
    let runtime = ("XDG_RUNTIME_DIR", "/run/user/1000");
    assert_eq!(state(System::Unix, &[runtime, home]), Path::new("/home/u/.local/state/inferd/state.db"));
    let set = ("XDG_STATE_HOME", "/var/u");
    assert_eq!(state(System::Unix, &[set, runtime, home]), Path::new("/var/u/inferd/state.db"));
    let library = Path::new("/home/u/Library/Application Support/inferd/state.db");
    assert_eq!(state(System::MacOs, &[home]), library);
    assert_eq!(state(System::Windows, &[("LOCALAPPDATA", "/local")]), Path::new("/local/inferd/state.db"));
    assert_eq!(state(System::Unix, &[]), Path::new("/tmp/inferd-1000/state.db"));
    let apart = ("INFERD_RUNTIME_DIR", "/srv/i");
    assert_eq!(state(System::Unix, &[apart, set, home]), Path::new("/srv/i/state.db"));
    let configured = Paths::in_dir("/srv/i").with_state(Some(Path::new("/data/s.db")));
    assert_eq!(configured.state, Path::new("/data/s.db"));
}

#[test]
fn the_configured_socket_moves_nothing_but_itself() {
    let paths = Paths::in_dir("/srv/i");
    assert_eq!(paths.clone().with_local(None), paths);
    let moved = paths.clone().with_local(Some(Path::new("/run/x.sock")));
    assert_eq!(moved.local, Path::new("/run/x.sock"));
    assert_eq!(Paths { local: paths.local.clone(), ..moved }, paths);
}

#[cfg(unix)]
mod unix {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A daemon whose runtime directory is `name` under a fresh one, chosen by us.
    fn own() -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(System::Unix, dir.path().join("a/b"), true);
        (dir, paths)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn make(paths: &Paths, mode: u32) {
        std::fs::create_dir_all(&paths.runtime_dir).unwrap();
        std::fs::set_permissions(&paths.runtime_dir, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_directory_and_what_is_above_it_are_made_for_the_user_alone() {
        let (_dir, paths) = own();
        paths.prepare().unwrap();
        paths.prepare().unwrap();
        assert_eq!(mode(&paths.runtime_dir), 0o700);
        assert_eq!(mode(paths.runtime_dir.parent().unwrap()), 0o700);
    }

    #[test]
    fn our_own_directory_is_tightened() {
        let (_dir, paths) = own();
        make(&paths, 0o777);
        paths.prepare().unwrap();
        assert_eq!(mode(&paths.runtime_dir), 0o700);
    }

    #[test]
    fn a_named_directory_may_be_read_by_others_but_not_written() {
        let (dir, _) = own();
        let paths = Paths::in_dir(dir.path().join("named"));
        make(&paths, 0o755);
        paths.prepare().unwrap();
        assert_eq!(mode(&paths.runtime_dir), 0o755);
        make(&paths, 0o770);
        let error = paths.prepare().unwrap_err();
        assert_eq!(error.to_string(), format!("others may write to {}", paths.runtime_dir.display()));
    }

    #[test]
    fn a_symlink_is_refused_and_its_target_untouched() {
        let (dir, _) = own();
        let target = Paths::in_dir(dir.path().join("target"));
        make(&target, 0o755);
        let paths = Paths::under(System::Unix, dir.path().join("link"), true);
        symlink(&target.runtime_dir, &paths.runtime_dir).unwrap();
        let error = paths.prepare().unwrap_err();
        let link = paths.runtime_dir.display();
        assert_eq!(error.to_string(), format!("{link} is a symbolic link, expected a directory"));
        assert_eq!(mode(&target.runtime_dir), 0o755);
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let (dir, _) = own();
        let paths = Paths::under(System::Unix, dir.path().join("file"), true);
        std::fs::write(&paths.runtime_dir, "").unwrap();
        let error = paths.prepare().unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not a directory", paths.runtime_dir.display()));
    }

    #[test]
    fn another_users_directory_is_refused() {
        let paths = Paths::under(System::Unix, "/".into(), true);
        if rustix::process::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths::under(System::Unix, dir.path().to_owned(), true);
            std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
            assert!(matches!(paths.prepare(), Err(PathsError::ForeignOwner(_))));
        } else {
            let error = paths.prepare().unwrap_err();
            assert_eq!(error.to_string(), "/ belongs to another user");
        }
    }
}
