//! A start that cannot work ends with a reason and touches nothing; one that can leaves only what it should.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use inferd_tests::{Daemon, Home, LineClient, request};
use serde_json::{Value, json};

const MOCK: &str = "\n[[backends]]\nname = \"m\"\nkind = \"mock\"\ntokens = [\"a\"]\n";

/// What the daemon says when it cannot start.
async fn refusal(home: &Home) -> Result<String> {
    let output = home.run("inferd-daemon", &[]).await?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "ended with {} and said:\n{said}", output.status);
    Ok(said)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(path.symlink_metadata()?.permissions().mode() & 0o777)
}

/// A home whose runtime directory is there before the daemon is.
fn prepared(config: &str) -> Result<Home> {
    let home = Home::new(config)?;
    std::fs::create_dir(home.runtime_dir().join("inferd"))?;
    Ok(home)
}

#[tokio::test]
async fn what_it_makes_is_for_its_owner_alone() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let home = daemon.home();
    assert_eq!(mode(&home.runtime_dir().join("inferd"))?, 0o700);
    for path in [home.socket(), home.admin_socket(), home.lock()] {
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_runtime_directory_with_wider_permissions_is_tightened() -> Result<()> {
    let home = Arc::new(prepared(MOCK)?);
    let dir = home.runtime_dir().join("inferd");
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777))?;
    let _daemon = Daemon::start_in(&home).await?;
    assert_eq!(mode(&dir)?, 0o700);
    Ok(())
}

#[tokio::test]
async fn a_group_widens_the_socket_and_nothing_else() -> Result<()> {
    let group = rustix::process::getegid().as_raw();
    let daemon = Daemon::start(&format!("listen.group = \"{group}\"\n{MOCK}")).await?;
    assert_eq!(mode(&daemon.socket())?, 0o660);
    assert_eq!(mode(&daemon.admin_socket())?, 0o600);
    let said = refusal(&Home::new(&format!("listen.group = \"no such group\"\n{MOCK}"))?).await?;
    assert!(said.contains("no such group"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_second_daemon_ends_and_names_the_first() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let said = refusal(daemon.home()).await?;
    assert!(said.contains(&daemon.pid()?.to_string()), "{said}");
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("x")).await?["content"], "a", "the first goes on");
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_a_link_or_a_directory_is_refused_and_left_alone() -> Result<()> {
    let home = prepared(MOCK)?;
    let target = home.runtime_dir().join("precious");
    std::fs::write(&target, "precious")?;
    symlink(&target, home.lock())?;
    let said = refusal(&home).await?;
    assert!(said.contains("symbolic link"), "{said}");
    assert_eq!(std::fs::read_to_string(&target)?, "precious");
    assert!(home.lock().is_symlink());

    std::fs::remove_file(home.lock())?;
    std::fs::create_dir(home.lock())?;
    let said = refusal(&home).await?;
    assert!(said.contains("not a regular file"), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_socket_is_refused_and_left_alone() -> Result<()> {
    for path in [Home::socket, Home::admin_socket] {
        let home = prepared(MOCK)?;
        let path = path(&home);
        std::fs::write(&path, "precious")?;
        let said = refusal(&home).await?;
        assert!(said.contains("not a socket"), "{said}");
        assert_eq!(std::fs::read_to_string(&path)?, "precious");
        let left: Vec<_> =
            [home.socket(), home.admin_socket()].into_iter().filter(|p| *p != path && p.exists()).collect();
        assert!(left.is_empty(), "{left:?} left behind");
    }
    Ok(())
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_refused_and_a_dead_one_replaced() -> Result<()> {
    let home = Arc::new(prepared(MOCK)?);
    let listener = UnixListener::bind(home.socket())?;
    let said = refusal(&home).await?;
    assert!(said.contains("in use"), "{said}");
    assert!(LineClient::local(&home.socket()).await.is_ok(), "the listener lost its socket");
    drop(listener);
    // A test beside this one may be starting a process, which has a copy of the listener until it runs.
    while UnixStream::connect(home.socket()).is_ok() {
        tokio::task::yield_now().await;
    }

    assert!(home.socket().symlink_metadata()?.file_type().is_socket());
    let daemon = Daemon::start_in(&home).await?;
    let mut client = daemon.connect().await?;
    assert_eq!(client.terminal(&request("x")).await?["content"], "a");
    Ok(())
}

#[tokio::test]
async fn a_socket_of_another_kind_is_not_taken_for_dead() -> Result<()> {
    let home = prepared(MOCK)?;
    let other = std::os::unix::net::UnixDatagram::bind(home.socket())?;
    let said = refusal(&home).await?;
    assert!(said.contains("cannot bind") && said.contains("infer.sock"), "{said}");
    other.send_to(b"still here", home.socket())?;
    Ok(())
}

/// Its backlog full, a live socket refuses connections just as a dead one does, but not with the same words.
#[tokio::test]
async fn a_socket_whose_listener_is_too_busy_to_answer_is_not_taken_for_dead() -> Result<()> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    };

    let home = prepared(MOCK)?;
    let address = SocketAddrUnix::new(home.socket())?;
    let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None);
    let busy = socket()?;
    bind(&busy, &address)?;
    listen(&busy, 0)?;
    let mut waiting = Vec::new();
    loop {
        let client = socket()?;
        if connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let said = refusal(&home).await?;
    assert!(said.contains("in use"), "{said}");
    assert!(home.socket().exists());
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_set_is_named_with_who_needs_it() -> Result<()> {
    let backend = "[[backends]]\nname = \"hosted\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\napi_key_env = \"NO_SUCH_KEY\"\n";
    let home = Home::new(backend)?;
    let said = refusal(&home).await?;
    assert!(said.contains("NO_SUCH_KEY") && said.contains("hosted"), "{said}");
    assert!(!home.socket().exists() && !home.admin_socket().exists());

    let listener = format!("listen.tcp = \"127.0.0.1:0\"\nlisten.api_key_env = \"NO_SUCH_KEY\"\n{MOCK}");
    let said = refusal(&Home::new(&listener)?).await?;
    assert!(said.contains("NO_SUCH_KEY") && said.contains("[listen]"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_taken_tcp_address_is_named() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let home = Home::new(&format!("listen.tcp = \"{address}\"\n{MOCK}"))?;
    let said = refusal(&home).await?;
    assert!(said.contains(&address.to_string()), "{said}");
    assert!(!home.socket().exists() && !home.admin_socket().exists(), "a socket file is left behind");
    Ok(())
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_its_line() -> Result<()> {
    for (config, expected) in [
        ("[admission]\nactive = 1\nqueue_dept = 3\n", ["line 3", "queue_depth"]),
        ("[admission]\nactive = -1\n", ["line 2", "active"]),
        ("[listen\n", ["line 1", ""]),
        ("\n\n[listen]\ntcp = \"0.0.0.0:1\"\n", ["line 4", "api_key_env"]),
        ("[[backends]]\nname = \"x\"\nkind = \"oracle\"\n", ["line 3", "openai"]),
    ] {
        let home = Home::new(config)?;
        for args in [&[][..], &["--check-config"]] {
            let output = home.run("inferd-daemon", args).await?;
            let said = String::from_utf8(output.stderr)?;
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(expected.iter().all(|part| said.contains(part)), "{said}");
        }
        assert!(!home.lock().exists(), "it took the lock before it read its configuration");
    }
    Ok(())
}

#[tokio::test]
async fn the_configuration_can_be_checked_without_starting_and_describes_itself() -> Result<()> {
    let home = Home::new(&format!("drain_timeout_s = 7\n{MOCK}"))?;
    let output = home.run("inferd-daemon", &["--check-config"]).await?;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout)?;
    let described: toml::Table = said.parse()?;
    assert_eq!(described["drain_timeout_s"].as_integer(), Some(7));
    assert_eq!(described["backends"][0]["name"].as_str(), Some("m"));
    assert!(!home.lock().exists() && !home.socket().exists());

    let again = Home::new(&said)?.run("inferd-daemon", &["--check-config"]).await?;
    let settings = |said: &str| said.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        settings(std::str::from_utf8(&again.stdout)?),
        settings(&said),
        "it describes a file that says the same"
    );
    Ok(())
}

#[tokio::test]
async fn a_backend_that_is_down_does_not_hold_the_start_back() -> Result<()> {
    let address = inferd_tests::free_address()?;
    let down = format!("[[backends]]\nname = \"down\"\nkind = \"openai\"\nbase_url = \"http://{address}\"\n");
    let daemon = Daemon::start(&down).await?;
    assert_eq!(daemon.snapshot().await?["status"], "ready");
    Ok(())
}

#[tokio::test]
async fn the_admin_socket_tells_every_step_of_the_start_and_who_serves() -> Result<()> {
    let daemon = Daemon::start(MOCK).await?;
    let snapshot = daemon.snapshot().await?;
    assert_eq!((&snapshot["status"], &snapshot["pid"]), (&json!("ready"), &json!(daemon.pid()?)));
    let lane = &snapshot["lanes"][0];
    assert_eq!(
        (&lane["name"], &lane["kind"], &lane["state"]),
        (&json!("m"), &json!("mock"), &json!("passing"))
    );

    let mut admin = LineClient::local(&daemon.admin_socket()).await?;
    assert_eq!(admin.frame().await?["status"], "ready");
    admin.send(&json!({"type": "nonsense"})).await?;
    assert_eq!(admin.frame().await?["code"], "invalid_request");
    admin.send(&json!({"type": "drain"})).await?;
    let status = |frame: Value| frame["status"].clone();
    assert_eq!(status(admin.frame().await?), "draining");
    admin.closed().await?;
    let mut daemon = daemon;
    assert_eq!(daemon.ended().await?.code(), Some(0));
    Ok(())
}
