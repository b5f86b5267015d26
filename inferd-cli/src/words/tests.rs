use inferd_proto::Limits;

use super::*;

fn hello(models: &[(&str, &str, bool)]) -> Hello {
    let model = |&(name, backend, ready): &(&str, &str, bool)| Model {
        name: name.into(),
        backend: backend.into(),
        ready,
        kind: String::new(),
    };
    Hello {
        protocol: 1,
        version: "0.3.0".into(),
        features: Vec::new(),
        limits: Limits { frame_bytes_max: 1, open_requests_max: 1, active: 1, queue_depth: 1 },
        models: models.iter().map(model).collect(),
    }
}

#[test]
fn who_answers_is_said_in_one_line_and_the_mock_is_called_one() {
    for (models, wanted, expected) in [
        (&[("llama3.1:8b", "ollama-11434", true)][..], None, "inferd 0.3.0 · llama3.1:8b on ollama-11434"),
        (&[("a", "x", false), ("b", "y", true)], None, "inferd 0.3.0 · b on y (1 of 2: /model)"),
        (&[("a", "x", true), ("b", "y", true)], Some("b"), "inferd 0.3.0 · b on y (1 of 2: /model)"),
        (&[("a", "x", false)], None, "inferd 0.3.0 · a on x, which is not ready"),
        (&[("*", "x", true)], None, "inferd 0.3.0 · any model on x"),
        (&[("*", "x", true)], Some("m"), "inferd 0.3.0 · m on x"),
        (&[("a", "x", true)], Some("m"), "inferd 0.3.0 · m, which it does not list"),
        (&[], None, "inferd 0.3.0 · no model yet"),
        (&[("mock", "mock", true)], None, "inferd 0.3.0 · mock"),
    ] {
        assert_eq!(engine(&hello(models), wanted), expected);
        assert_eq!(is_mock(&hello(models)), expected.ends_with("mock"), "{expected}");
    }
}

#[test]
fn a_refusal_says_what_it_means_and_when_to_try_again() {
    let queue = Some(QueueState { running: 4, waiting: 64, capacity: 64 });
    insta::assert_snapshot!([
        refusal(ErrorCode::QueueFull, "queue is full", Some(3200), queue),
        refusal(ErrorCode::QueueFull, "queue is full", None, None),
        refusal(ErrorCode::BackendUnavailable, "draining", Some(10), None),
        refusal(ErrorCode::InvalidRequest, "temperature: expected a number from 0 to 2, got 9", None, None),
        refusal(ErrorCode::DeadlineExceeded, "waited 50 ms", None, None),
        refusal(ErrorCode::ModelNotFound, "no backend serves m", None, None),
        refusal(ErrorCode::FrameTooLarge, "frame exceeds 9 bytes", None, None),
        refusal(ErrorCode::Internal, "a bug", None, None),
    ]
    .join("\n"), @r"
    the daemon is busy: 4 running, 64 waiting; try again in 4 s
    the daemon is busy: queue is full
    no model could answer: draining; try again in 1 s
    not accepted: temperature: expected a number from 0 to 2, got 9
    not answered in time: waited 50 ms
    no such model: no backend serves m
    too large: frame exceeds 9 bytes
    a fault of the daemon: a bug
    ");
}
