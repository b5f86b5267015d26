use inferd_proto::Role;

use super::*;

fn says(bytes: usize) -> [Message; 1] {
    [Message { role: Role::User, content: "x".repeat(bytes).into() }]
}

fn whose(owner: &str) -> Whose {
    Whose { owner: owner.into(), server: "s".to_owned(), room: "r".to_owned() }
}

/// The threads of a test at a time that it tells.
struct Rig {
    kept: Kept,
    begun: Instant,
}

impl Rig {
    fn new() -> Self {
        Self { kept: Kept::default(), begun: Instant::now() }
    }

    fn at(&self, s: u64) -> Instant {
        self.begun + Duration::from_secs(s)
    }

    /// A thread in which so many bytes were said.
    fn thread(&mut self, id: &str, owner: &str, bytes: usize, s: u64) {
        let now = self.at(s);
        self.kept.begin(id.to_owned(), whose(owner), now);
        assert!(self.kept.append(id, &says(bytes), now));
    }

    fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.kept.by_id.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }
}

#[test]
fn a_thread_is_found_by_its_owner_where_it_was_begun_and_by_nobody_else() {
    let mut rig = Rig::new();
    rig.thread("t", "ann", 1, 0);
    let now = rig.at(1);
    assert!(rig.kept.resume("t", &whose("ann"), now));
    assert!(!rig.kept.resume("t", &whose("bob"), now));
    assert!(!rig.kept.resume("t", &Whose { server: "other".to_owned(), ..whose("ann") }, now));
    assert!(!rig.kept.resume("t", &Whose { room: "other".to_owned(), ..whose("ann") }, now));
    assert!(!rig.kept.resume("u", &whose("ann"), now));
}

#[test]
fn what_is_not_used_for_a_day_is_gone_and_each_use_counts_anew() {
    let mut rig = Rig::new();
    rig.thread("used", "ann", 1, 0);
    rig.thread("unused", "ann", 1, 0);
    let day = KEPT.as_secs();
    let (shortly_before, then) = (rig.at(day - 1), rig.at(day));
    assert!(rig.kept.resume("used", &whose("ann"), shortly_before));
    assert!(!rig.kept.resume("unused", &whose("ann"), then));
    assert_eq!(rig.ids(), ["used"]);
    assert_eq!(rig.kept.weight, WEIGHT_MIN);
}

#[test]
fn who_holds_the_most_gives_way_first_with_what_is_oldest_of_theirs() {
    let mut rig = Rig::new();
    rig.thread("small", "bob", 1, 0);
    for n in 0..8 {
        rig.thread(&format!("large {n}"), "ann", THREAD_BYTES_MAX - MESSAGE_BYTES, 1);
    }
    assert_eq!(
        rig.ids(),
        (1..8).map(|n| format!("large {n}")).chain(["small".to_owned()]).collect::<Vec<_>>()
    );
    assert!(rig.kept.weight <= WEIGHT_MAX);
}

#[test]
fn there_are_never_more_threads_than_fit_however_little_is_said_in_them() {
    let mut rig = Rig::new();
    for n in 0..=WEIGHT_MAX / WEIGHT_MIN {
        rig.kept.begin(n.to_string(), whose("ann"), rig.at(0));
    }
    assert_eq!(rig.kept.by_id.len(), WEIGHT_MAX / WEIGHT_MIN);
    assert!(!rig.kept.by_id.contains_key("0"));
}

#[test]
fn a_thread_that_grows_past_its_limit_is_gone() {
    let mut rig = Rig::new();
    rig.thread("t", "ann", THREAD_BYTES_MAX / 2, 0);
    let now = rig.at(1);
    assert!(!rig.kept.append("t", &says(THREAD_BYTES_MAX / 2), now));
    assert_eq!((rig.ids().len(), rig.kept.weight), (0, 0));
}

#[test]
fn a_thread_in_which_nothing_was_said_was_none() {
    let (threads, ann) = (Threads::default(), Arc::<str>::from("ann"));
    let take = |named| Place::take(&threads, &ann, ("s", ""), named, Instant::now());
    let place = take(None).unwrap();
    let id = place.id().to_owned();
    assert_eq!(threads.messages(&id), Some(Vec::new()));
    drop(place);
    assert_eq!(threads.messages(&id), None);

    let place = take(None).unwrap();
    let id = place.id().to_owned();
    assert!(threads.lock().append(&id, &says(1), Instant::now()));
    drop(place);
    let again = take(Some(id.clone())).unwrap();
    assert_eq!(again.id(), id);
    assert!(matches!(take(Some("none".to_owned())), Err(AgentError::UnknownThread(_))));
}
