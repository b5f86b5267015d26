#![cfg(unix)]

use std::future::poll_fn;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket, socket_with,
};

use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inferd.sock");
    (dir, path)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_socket_is_its_owners_alone_and_goes_with_its_listener() {
    let (_dir, path) = place();
    let listener = LocalListener::bind(&path, None).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_may_be_shared_with_a_group() {
    let (_dir, path) = place();
    let group = rustix::process::getegid().as_raw().to_string();
    let _listener = LocalListener::bind(&path, Some(&group)).await.unwrap();
    assert_eq!(mode(&path), 0o660);
}

#[tokio::test]
async fn a_group_that_does_not_exist_is_refused_and_nothing_is_left_behind() {
    let (_dir, path) = place();
    let error = LocalListener::bind(&path, Some("no such group")).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no group `no such group`");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_somebody_answers_on_is_not_taken_over() {
    let (_dir, path) = place();
    let listener = LocalListener::bind(&path, None).await.unwrap();
    let error = LocalListener::bind(&path, None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} is in use: something is listening on it", path.display()));
    assert!(matches!(error, BindError::InUse(taken) if taken == path));
    // The first one still serves.
    let client = UnixStream::connect(&path).unwrap();
    listener.accept().await.unwrap();
    drop(client);
}

#[tokio::test]
async fn a_socket_whose_owner_is_too_busy_to_answer_is_not_taken_over() {
    let (_dir, path) = place();
    let busy = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&busy, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&busy, 0).unwrap();
    let address = SocketAddrUnix::new(&path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        if connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let bound = tokio::time::timeout(Duration::from_secs(10), LocalListener::bind(&path, None)).await;
    assert!(matches!(bound, Ok(Err(BindError::InUse(_)))), "{bound:?}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_socket_that_speaks_something_else_is_left_alone() {
    let (_dir, path) = place();
    let other = UnixDatagram::bind(&path).unwrap();
    LocalListener::bind(&path, None).await.unwrap_err();
    UnixDatagram::unbound().unwrap().send_to(b"still there", &path).unwrap();
    drop(other);
}

#[tokio::test]
async fn a_socket_that_a_crash_left_behind_is_replaced() {
    let (_dir, path) = place();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let listener = LocalListener::bind(&path, None).await.unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    listener.accept().await.unwrap();
}

/// Puts something at the first path; the second is a file elsewhere.
type Put = fn(&Path, &Path) -> io::Result<()>;

#[tokio::test]
async fn what_is_not_a_socket_is_refused_and_left_alone() {
    let (dir, path) = place();
    let elsewhere = dir.path().join("elsewhere");
    let _live = UnixListener::bind(dir.path().join("live.sock")).unwrap();
    std::fs::write(&elsewhere, "precious").unwrap();
    let in_the_way: [(&str, Put); 5] = [
        ("a file", |path, _| std::fs::write(path, "precious")),
        ("a directory", |path, _| std::fs::create_dir(path)),
        ("a link to a file", |path, elsewhere| std::os::unix::fs::symlink(elsewhere, path)),
        ("a link to nothing", |path, _| std::os::unix::fs::symlink("/nowhere", path)),
        ("a link to a socket", |path, elsewhere| {
            std::os::unix::fs::symlink(elsewhere.with_file_name("live.sock"), path)
        }),
    ];
    for (name, put) in in_the_way {
        put(&path, &elsewhere).unwrap();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        let error = LocalListener::bind(&path, None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is not a socket: refusing to replace it", path.display()),
            "{name}"
        );
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.file_type(), kind, "{name}");
        if found.is_file() {
            assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        }
        if found.is_dir() { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.unwrap();
    }
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"precious");
    assert!(std::fs::symlink_metadata(dir.path().join("live.sock")).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_an_error_that_names_it() {
    let (dir, _) = place();
    for path in [dir.path().join("x".repeat(200)), dir.path().join("missing").join("inferd.sock")] {
        let error = LocalListener::bind(&path, None).await.unwrap_err();
        assert!(matches!(error, BindError::Io { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot bind {}", path.display()));
    }
}

#[tokio::test]
async fn the_system_says_who_is_calling() {
    let (_dir, path) = place();
    let listener = LocalListener::bind(&path, None).await.unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    let (_socket, peer) = listener.accept().await.unwrap();
    let uid = Some(rustix::process::geteuid().as_raw());
    assert_eq!(peer, Peer::Local { uid, pid: Some(std::process::id()) });
}

#[tokio::test]
async fn a_client_that_shut_down_its_writing_side_is_told_from_one_that_is_gone() {
    let (_dir, path) = place();
    let listener = LocalListener::bind(&path, None).await.unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut hangup = socket.hangup().unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(50), poll_fn(|cx| hangup.poll(cx))).await;
    assert!(gone.is_err(), "it may still read");
    drop(client);
    let gone = tokio::time::timeout(Duration::from_secs(5), poll_fn(|cx| hangup.poll(cx))).await;
    assert!(gone.is_ok());
}
