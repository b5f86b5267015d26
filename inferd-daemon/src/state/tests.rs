//! What a daemon remembers, and what it costs when it cannot.

use std::sync::mpsc;

use super::*;
use crate::audit::{Query, read};

struct Place {
    _dir: tempfile::TempDir,
    settings: Settings,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path().join("state/inferd/state.db"), 30);
    Place { _dir: dir, settings }
}

impl Place {
    fn open(&self) -> State {
        State::open(self.settings.clone()).unwrap()
    }

    fn rows(&self) -> usize {
        read(&self.settings.path, &Query { since: None, count: u32::MAX }).unwrap().len()
    }
}

fn row() -> Row {
    crate::audit::tests::row(i64::MAX)
}

async fn count(state: &State) -> Result<i64, Unavailable> {
    state.ask(|database| database.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))).await
}

#[tokio::test]
async fn what_was_noted_is_there_after_a_restart() {
    let place = place();
    let state = place.open();
    state.note(row());
    state.close().await;
    let state = place.open();
    state.note(row());
    assert_eq!(count(&state).await, Ok(2), "whoever asks sees what was noted before");
    state.close().await;
    assert_eq!(count(&state).await, Err(Unavailable), "closed is closed");
    assert_eq!(place.rows(), 2);
}

#[tokio::test]
async fn rows_are_written_without_anybody_asking() {
    let place = place();
    let state = place.open();
    count(&state).await.unwrap();
    state.note(row());
    let written = async {
        while place.rows() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BATCH_WINDOW * 100, written).await.expect("they come with the next batch");
    state.close().await;
}

#[tokio::test]
async fn a_second_daemon_keeps_out_and_goes_on_without() {
    let place = place();
    let first = place.open();
    assert_eq!(count(&first).await, Ok(0));
    let second = place.open();
    second.note(row());
    assert_eq!(count(&second).await, Err(Unavailable));
    second.close().await;
    first.note(row());
    assert_eq!(count(&first).await, Ok(1));
    first.close().await;
}

#[tokio::test]
async fn a_broken_file_costs_rows_alone_and_is_left_as_it_is() {
    let place = place();
    std::fs::create_dir_all(place.settings.dir().unwrap()).unwrap();
    let broken = "this is no database, ".repeat(1000);
    std::fs::write(&place.settings.path, &broken).unwrap();
    let state = place.open();
    state.note(row());
    assert_eq!(count(&state).await, Err(Unavailable));
    state.close().await;
    assert_eq!(std::fs::read_to_string(&place.settings.path).unwrap(), broken);
}

#[tokio::test]
async fn a_place_that_cannot_be_made_costs_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let state = State::open(Settings::new(dir.path().join("file/state.db"), 30)).unwrap();
    state.note(row());
    assert_eq!(count(&state).await, Err(Unavailable));
    state.close().await;
}

#[tokio::test]
async fn a_full_disk_costs_the_batch_and_not_what_was_there() {
    let mut place = place();
    let state = place.open();
    state.note(row());
    state.close().await;
    place.settings.pages_max = 1;
    let state = place.open();
    for _ in 0..10_000 {
        state.note(row());
    }
    assert_eq!(count(&state).await, Ok(1), "all or nothing of a batch");
    state.close().await;
    place.settings.pages_max = PAGES_MAX;
    let state = place.open();
    state.note(row());
    assert_eq!(count(&state).await, Ok(2), "once there is room it goes on");
    state.close().await;
}

#[tokio::test]
async fn noting_does_not_wait_for_a_disk_that_hangs_and_what_is_lost_is_bounded() {
    let place = place();
    let state = place.open();
    let (hung, hangs) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let asking = {
        let state = state.clone();
        async move {
            state
                .ask(move |_| {
                    hung.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    Ok(())
                })
                .await
        }
    };
    let noting = async {
        while hangs.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        for _ in 0..ROWS_MAX + 10 {
            state.note(row());
        }
        assert_eq!(state.shared.tray.lost.load(Ordering::Relaxed), 10);
        go_on.send(()).unwrap();
    };
    let (asked, ()) = tokio::join!(asking, noting);
    assert_eq!(asked, Ok(()));
    assert_eq!(count(&state).await, Ok(i64::try_from(ROWS_MAX).unwrap()));
    state.close().await;
}

#[tokio::test]
async fn a_database_of_a_newer_daemon_is_left_alone() {
    let place = place();
    let state = place.open();
    state.ask(|database| database.pragma_update(None, "user_version", 1000)).await.unwrap();
    state.close().await;
    let error = database::Database::open(&place.settings).unwrap_err();
    assert_eq!(error.to_string(), "it is of version 1000, and this daemon knows 1");
}

#[tokio::test]
async fn the_log_is_read_while_a_daemon_writes_and_when_none_does() {
    let place = place();
    assert!(read(&place.settings.path, &Query { since: None, count: 1 }).is_err(), "there is none");
    let state = place.open();
    state.note(row());
    count(&state).await.unwrap();
    assert_eq!(place.rows(), 1);
    assert_eq!(count(&state).await, Ok(1), "the reader is in nobody's way");
    state.close().await;
    assert_eq!(place.rows(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let state = place.open();
    state.note(row());
    count(&state).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let dir = place.settings.dir().unwrap();
    assert_eq!(mode(dir), 0o700);
    let files: Vec<_> = dir.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "database, lock, and the two beside the database: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    state.close().await;
}
