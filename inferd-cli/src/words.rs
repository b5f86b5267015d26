//! Error frames and engines in words for people.

use inferd_proto::{ErrorCode, Hello, Model, Progress, QueueState, Response};

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
    let Response::Status { status, position, backend, step, tool, progress, .. } = status else {
        return None;
    };
    let message = match (status.as_str(), position, backend) {
        ("queued", Some(place), _) => format!("waiting, place {place}"),
        ("queued", None, _) => "waiting".to_owned(),
        ("running", _, Some(backend)) => format!("running on {backend}"),
        ("running", _, None) => "running".to_owned(),
        ("retrying", _, _) => "trying another model server".to_owned(),
        ("calling", _, _) => match progress {
            Some(progress) => format!("{}{}", called(tool.as_deref()), far(progress)),
            None => called(tool.as_deref()),
        },
        _ => return None,
    };
    Some(match step {
        // The first is nothing to tell: most requests have no other.
        Some(step @ 2..) => format!("step {step}: {message}"),
        Some(0 | 1) | None => message,
    })
}

/// What a `status` frame says of a tool that has ended: a line to keep.
pub(crate) fn ended(status: &Response) -> Option<String> {
    let Response::Status { status, tool: Some(tool), .. } = status else { return None };
    match status.as_str() {
        "called" => Some(format!("· {}", line(tool))),
        "failed" => Some(format!("· {} failed", line(tool))),
        _ => None,
    }
}

fn called(tool: Option<&str>) -> String {
    format!("calling {}", line(tool.unwrap_or("a tool")))
}

fn far(Progress { done, total, message }: &Progress) -> String {
    let far = match total {
        Some(total) if *total > 0.0 => format!(", {:.0} %", (done / total * 100.0).clamp(0.0, 100.0)),
        Some(_) | None => String::new(),
    };
    match message {
        Some(message) => format!("{far}: {}", line(message)),
        None => far,
    }
}

/// What somebody else wrote, as one line that does nothing to a terminal.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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
