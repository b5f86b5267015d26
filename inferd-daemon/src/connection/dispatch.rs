//! Lines of one client become calls, or the frames that say why not.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use inferd_proto::{
    Answer, CallRequest, ClientFrame, EmbedRequest, ErrorCode, FrameTooLarge, ProtoError, Rejected, Request,
    Response, ServersRequest, ToolsRequest,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Visitor;
use super::call::{self, Call, Stage};
use super::outbox::Outbox;
use super::wire::{Frames, millis};
use super::{agent, embedding, listing, tool};
use crate::audit::{Asked, Caller, Entry, Kind, Outcome};
use crate::queue::Client;
use crate::service::Service;

type Running = Pin<Box<dyn Future<Output = Arc<Call>> + Send>>;

/// What is said to whoever comes, or still waits, when the daemon stops.
const DRAINING: &str = "draining";

/// What is said to who asks for servers where none is configured.
const NO_SERVERS: &str = "this daemon has no servers";

/// What the calls of one connection share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) service: Arc<Service>,
    pub(super) client: Client,
    pub(super) caller: Caller,
    asker: inferd_proto::Caller,
    pub(super) outbox: Outbox,
}

/// What one connection has open.
pub(super) struct Dispatch {
    desk: Arc<Desk>,
    /// The call that was opened while no other was, until another is. It is polled without the bookkeeping that many
    /// need.
    lone: Option<Running>,
    others: FuturesUnordered<Running>,
    calls: Vec<Arc<Call>>,
    /// The client said hello, and so understands additive fields.
    hello: bool,
}

impl Dispatch {
    pub(super) fn new(visitor: Visitor, service: Arc<Service>) -> Self {
        let Visitor { client, caller, asker } = visitor;
        Self {
            desk: Arc::new(Desk { service, client, caller, asker, outbox: Outbox::default() }),
            lone: None,
            others: FuturesUnordered::new(),
            calls: Vec::new(),
            hello: false,
        }
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.desk.outbox
    }

    /// Acts on one line.
    pub(super) fn line(&mut self, line: &[u8], received: Instant) {
        match ClientFrame::parse(line) {
            Ok(ClientFrame::Request(request)) => self.open(*request, received),
            Ok(ClientFrame::Cancel { id }) => {
                if let Some(call) = self.call(&id) {
                    call.cancel();
                }
            }
            Ok(ClientFrame::Hello) => {
                self.hello = true;
                let hello = self.desk.service.hello();
                self.desk.outbox.put(|out| {
                    serde_json::to_writer(&mut *out, &hello)
                        .expect("plain data is JSON, and a Vec takes every byte");
                    out.push(b'\n');
                });
            }
            // Where a key is needed it was given before the first line came here.
            Ok(ClientFrame::Auth(_)) => {}
            Ok(ClientFrame::Embed(request)) => self.embed(request, received),
            Ok(ClientFrame::Servers(ServersRequest { id })) => self.list(id, |desk, id| {
                listing::put_servers(desk, id);
                Ok(())
            }),
            Ok(ClientFrame::Tools(ToolsRequest { id, server })) => {
                self.list(id, |desk, id| listing::put_tools(desk, id, server));
            }
            Ok(ClientFrame::Call(request)) => self.call_tool(request, received),
            Err(Rejected { id, error }) => self.invalid(&id, &error),
        }
    }

    fn open(&mut self, mut request: Request, received: Instant) {
        let kind = if request.agent.is_some() { Kind::Agent } else { Kind::Generate };
        let Some(id) = self.enter(std::mem::take(&mut request.id), kind, received) else { return };
        let resolved = match request.resolve() {
            Ok(mut resolved) => {
                resolved.caller = self.desk.asker.clone();
                Box::new(resolved)
            }
            Err(error) => return self.invalid(&id, &error),
        };
        let call = Call::new(id);
        let frames = Frames::new(Arc::clone(&call), Arc::clone(&self.desk), &resolved, self.hello);
        let (this, desk) = (Arc::clone(&call), Arc::clone(&self.desk));
        let running: Running = if resolved.agent.is_some() {
            Box::pin(agent::run(this, desk, resolved, received, frames))
        } else {
            Box::pin(call::run(this, desk, resolved, received, frames))
        };
        self.begin(call, running);
    }

    fn embed(&mut self, mut request: EmbedRequest, received: Instant) {
        let Some(id) = self.enter(std::mem::take(&mut request.id), Kind::Embed, received) else { return };
        if let Err(error) = request.check() {
            return self.invalid(&id, &error);
        }
        let call = Call::new(id);
        let running = embedding::run(Arc::clone(&call), Arc::clone(&self.desk), request, received);
        self.begin(call, Box::pin(running));
    }

    fn call_tool(&mut self, mut request: CallRequest, received: Instant) {
        let Some(id) = self.enter(std::mem::take(&mut request.id), Kind::Call, received) else { return };
        if let Err(error) = self.has_servers().and_then(|()| request.check()) {
            return self.invalid(&id, &error);
        }
        let call = Call::new(id);
        let running = tool::run(Arc::clone(&call), Arc::clone(&self.desk), request, received);
        self.begin(call, Box::pin(running));
    }

    /// Answers at once with a list.
    fn list(&self, id: String, put: impl FnOnce(&Desk, String) -> Result<(), ProtoError>) {
        let Some(id) = self.identify(id) else { return };
        if let Err(error) = self.has_servers().and_then(|()| put(&self.desk, id.clone())) {
            self.invalid(&id, &error);
        }
    }

    /// Whether there is any server to ask.
    fn has_servers(&self) -> Result<(), ProtoError> {
        if self.desk.service.has_servers() {
            return Ok(());
        }
        Err(ProtoError::InvalidRequest(NO_SERVERS.to_owned()))
    }

    /// Whether another call may be opened, and under which id. If not, it has been told why.
    fn enter(&self, id: String, kind: Kind, received: Instant) -> Option<String> {
        let id = self.identify(id)?;
        // Asked of the word itself: nobody who was told of it has a request taken.
        if self.desk.service.stop.is_said() {
            self.error(&id, ErrorCode::BackendUnavailable, DRAINING);
            self.refused(kind, received, "draining");
            return None;
        }
        if self.calls.len() >= self.desk.service.limits.open_requests_max {
            self.too_many(&id);
            self.refused(kind, received, "too_many_open");
            return None;
        }
        Some(id)
    }

    /// The id under which a line is answered. If there is none, its sender has been told why.
    fn identify(&self, mut id: String) -> Option<String> {
        if id.is_empty() && !self.calls.is_empty() {
            id = Uuid::now_v7().to_string();
        }
        if self.call(&id).is_some() {
            let message = "id: expected one that is not open on this connection";
            self.error(&id, ErrorCode::InvalidRequest, message);
            return None;
        }
        Some(id)
    }

    /// Leaves the row of a call that never was one.
    #[cold]
    fn refused(&self, kind: Kind, received: Instant, reason: &'static str) {
        let Desk { service, caller, .. } = &*self.desk;
        Entry::open(service, caller, received, || Asked { kind, model: None, bytes: 0 })
            .ended(Outcome::Refused(reason));
    }

    fn begin(&mut self, call: Arc<Call>, running: Running) {
        if self.calls.is_empty() {
            self.lone = Some(running);
        } else {
            // Among others it has no right to go first any more.
            self.others.extend(self.lone.take());
            self.others.push(running);
        }
        self.calls.push(call);
    }

    /// Lets every call go as far as it can. Calls that ended are forgotten; true when the last of them has.
    pub(super) fn poll_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let were_open = !self.calls.is_empty();
        if let Some(lone) = &mut self.lone
            && let Poll::Ready(ended) = lone.as_mut().poll(cx)
        {
            self.lone = None;
            self.forget(&ended);
        }
        while !self.others.is_empty()
            && let Poll::Ready(Some(ended)) = Pin::new(&mut self.others).poll_next(cx)
        {
            self.forget(&ended);
        }
        were_open && self.calls.is_empty()
    }

    fn forget(&mut self, ended: &Arc<Call>) {
        if let Some(at) = self.calls.iter().position(|call| Arc::ptr_eq(call, ended)) {
            self.calls.swap_remove(at);
        }
    }

    /// Whether no call is open and no frame waits.
    pub(super) fn is_quiet(&self) -> bool {
        self.calls.is_empty() && self.desk.outbox.is_empty()
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.desk.service.limits.idle_timeout
    }

    /// Writes to a client that may be gone, so that its silence becomes an error.
    /// What was said since the last time has done that already.
    pub(super) fn prove_life(&self) {
        for call in &self.calls {
            let status = match call.stage() {
                Stage::Queued => "queued",
                Stage::Running => "running",
                Stage::Speaking => {
                    call.set_stage(Stage::Running);
                    continue;
                }
            };
            let frame = Response::status(call.id(), status);
            self.desk.outbox.put(|out| Answer::frame(out, &frame));
        }
    }

    /// Forgets what was said until now: from here on silence counts.
    pub(super) fn begin_silence(&self) {
        let spoke = |call: &&Arc<Call>| call.stage() == Stage::Speaking;
        self.calls.iter().filter(spoke).for_each(|call| call.set_stage(Stage::Running));
    }

    /// Ends every call: the daemon stops and has waited long enough.
    pub(super) fn end_calls(&mut self) {
        self.lone = None;
        self.others.clear();
        for call in std::mem::take(&mut self.calls) {
            self.error(call.id(), ErrorCode::BackendUnavailable, DRAINING);
        }
    }

    /// Answers a line that is too long to read.
    pub(super) fn refuse_frame(&self, too_large: FrameTooLarge) {
        self.error("", ErrorCode::FrameTooLarge, &too_large.to_string());
    }

    #[cold]
    fn too_many(&self, id: &str) {
        let max = self.desk.service.limits.open_requests_max;
        let message = format!("{max} requests are open on this connection");
        let (queue, retry_after) = (self.desk.service.gate.state(), self.desk.service.gate.retry_after());
        self.desk.outbox.put(|out| {
            Answer::error(out, id, ErrorCode::QueueFull, &message, Some(millis(retry_after)), Some(queue));
        });
    }

    fn call(&self, id: &str) -> Option<&Arc<Call>> {
        self.calls.iter().find(|call| call.id() == id)
    }

    #[cold]
    fn invalid(&self, id: &str, error: &ProtoError) {
        self.error(id, error.to_error_code(), &error.to_string());
    }

    fn error(&self, id: &str, code: ErrorCode, message: &str) {
        self.desk.outbox.put(|out| Answer::error(out, id, code, message, None, None));
    }
}
