//! Whatever is said, in whatever pieces: one terminal frame for each line that asks for something.

use inferd_engine::GenerateError;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Line {
    /// A request; its seed says what becomes of it.
    Ask {
        id: &'static str,
        seed: u8,
        fields: &'static str,
    },
    Cancel {
        id: &'static str,
    },
    Nonsense,
}

const IDS: [&str; 4] = ["", "a", "b", "c"];

fn line() -> impl Strategy<Value = Line> {
    let id = || proptest::sample::select(&IDS[..]);
    let fields = proptest::sample::select(
        &["", r#","stream":false"#, r#","progress":true"#, r#","deadline_ms":1500"#, r#","temperature":9"#][..],
    );
    prop_oneof![
        6 => (id(), 0u8..6, fields).prop_map(|(id, seed, fields)| Line::Ask { id, seed, fields }),
        2 => id().prop_map(|id| Line::Cancel { id }),
        1 => Just(Line::Nonsense),
    ]
}

impl Line {
    fn text(&self) -> String {
        match self {
            Self::Ask { id, seed, fields } => ask_with(id, &format!(r#","seed":{seed}{fields}"#)),
            Self::Cancel { id } => cancel(id),
            Self::Nonsense => "{nonsense".to_owned(),
        }
    }

    fn is_answered(&self) -> bool {
        !matches!(self, Self::Cancel { .. })
    }
}

fn of_many_minds() -> Arc<Scripted> {
    Scripted::new("lane", |_, request| match request.seed {
        Some(0) => Turn::Hang,
        Some(1) => Turn::SayAndHang(vec![token("1"), token("2")]),
        Some(2) => Turn::Say(vec![token("1")]),
        Some(3) => Turn::Refuse(GenerateError::InvalidRequest("no".to_owned())),
        _ => Turn::Say(answer(&["1", "2"])),
    })
}

async fn check(lines: &[Line], cuts: &[usize], pauses_ms: &[u64]) {
    let limits = ConnectionLimits { open_requests_max: 6, ..ConnectionLimits::default() };
    let backend = of_many_minds();
    let rig = Rig::with(&backend, Admission::new(2, 3), limits);
    let mut talk = rig.local();
    let bytes: Vec<u8> = lines.iter().flat_map(|line| (line.text() + "\n").into_bytes()).collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for (&to, &pause_ms) in cuts.iter().chain([&bytes.len()]).zip(pauses_ms.iter().cycle()) {
        talk.send_bytes(&bytes[from..to]).await;
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        from = to;
    }
    settled().await;
    rig.service.stop.drain();
    rig.service.stop.end();
    (&mut talk.served).await.unwrap();

    let mut terminal = 0;
    while let Some(line) = talk.line().await {
        let frame: Response = serde_json::from_str(&line).unwrap();
        terminal += usize::from(frame.is_terminal());
    }
    assert_eq!(terminal, lines.iter().filter(|line| line.is_answered()).count());
    assert_eq!((rig.counts(), backend.alive()), ((0, 0), 0));
    assert_eq!(rig.service.router.state()[0].running, 0);
}

proptest! {
    #[test]
    fn every_line_that_asks_gets_one_terminal_frame_and_nothing_is_left_behind(
        lines in proptest::collection::vec(line(), 0..24),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
        pauses_ms in proptest::collection::vec(0u64..900, 1..4),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(&lines, &cuts, &pauses_ms));
    }
}
