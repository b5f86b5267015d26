//! Error frames and engines in words for people.

use inferd_proto::{ErrorCode, Hello, Model, QueueState, Response};

use crate::client::{ClientError, Refusal};

/// The lane of a daemon that found no model server.
const MOCK: &str = "mock";

/// Says what an `error` frame means and when trying again is worth while.
pub(crate) fn refusal(
    code: ErrorCode,
    message: &str,
    retry_after_ms: Option<u64>,
    queue: Option<QueueState>,
) -> String {
    let meaning = match code {
        ErrorCode::QueueFull => match queue {
            Some(QueueState { running, waiting, .. }) => {
                format!("the daemon is busy: {running} running, {waiting} waiting")
            }
            None => format!("the daemon is busy: {message}"),
        },
        ErrorCode::BackendUnavailable => format!("no model could answer: {message}"),
        ErrorCode::InvalidRequest => format!("not accepted: {message}"),
        ErrorCode::DeadlineExceeded => format!("not answered in time: {message}"),
        ErrorCode::ModelNotFound => format!("no such model: {message}"),
        ErrorCode::FrameTooLarge => format!("too large: {message}"),
        ErrorCode::Internal => format!("a fault of the daemon: {message}"),
    };
    match retry_after_ms {
        Some(ms) => format!("{meaning}; try again in {} s", ms.div_ceil(1000).max(1)),
        None => meaning,
    }
}

/// Says why there is nothing to show.
pub(crate) fn failure(error: &ClientError) -> String {
    match error {
        ClientError::Refused(refused) => {
            let Refusal { code, message, retry_after_ms, queue } = &**refused;
            refusal(*code, message, *retry_after_ms, *queue)
        }
        error => chain(error),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What a `status` frame means to who waits; nothing where it means nothing to them.
pub(crate) fn waiting(status: &Response) -> Option<String> {
    let Response::Status { status, position, backend, .. } = status else { return None };
    match (status.as_str(), position, backend) {
        ("queued", Some(place), _) => Some(format!("waiting, place {place}")),
        ("queued", None, _) => Some("waiting".to_owned()),
        ("running", _, Some(backend)) => Some(format!("running on {backend}")),
        ("running", _, None) => Some("running".to_owned()),
        ("retrying", _, _) => Some("trying another model server".to_owned()),
        _ => None,
    }
}

/// Who answers: the daemon's version and the model it would take, or `wanted`.
pub(crate) fn engine(hello: &Hello, wanted: Option<&str>) -> String {
    let answering = match (chosen(hello, wanted), wanted) {
        (Some(model), _) => lane(model, wanted),
        (None, Some(wanted)) => format!("{wanted}, which it does not list"),
        (None, None) => "no model yet".to_owned(),
    };
    let more = match hello.models.len() {
        0 | 1 => String::new(),
        all => format!(" (1 of {all}: /model)"),
    };
    format!("inferd {} · {answering}{more}", hello.version)
}

/// Whether nothing but the mock stands behind a daemon, as far as names tell.
pub(crate) fn is_mock(hello: &Hello) -> bool {
    !hello.models.is_empty() && hello.models.iter().all(|model| model.backend == MOCK)
}

/// The models of a daemon, one a line.
pub(crate) fn models(hello: &Hello) -> String {
    if hello.models.is_empty() {
        return "the daemon lists no model".to_owned();
    }
    hello.models.iter().map(|model| format!("  {}", lane(model, None))).collect::<Vec<_>>().join("\n")
}

/// The model that would answer: the wanted one, else the first that is ready.
fn chosen<'h>(hello: &'h Hello, wanted: Option<&str>) -> Option<&'h Model> {
    let fits = |model: &&Model| wanted.is_none_or(|wanted| model.name == wanted || model.name == "*");
    let mut fitting = hello.models.iter().filter(fits);
    fitting.clone().find(|model| model.ready).or_else(|| fitting.next())
}

fn lane(model: &Model, wanted: Option<&str>) -> String {
    let Model { name, backend, ready, .. } = model;
    let mut lane = match (name.as_str(), wanted) {
        (name, None) if name == backend => name.to_owned(),
        ("*", None) => format!("any model on {backend}"),
        ("*", Some(wanted)) => format!("{wanted} on {backend}"),
        _ => format!("{name} on {backend}"),
    };
    if !ready {
        lane.push_str(", which is not ready");
    }
    lane
}

#[cfg(test)]
mod tests;
