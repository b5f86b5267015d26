//! What the daemon says to MCP clients: what is offered, what becomes of it, and what it can do.
//!
//! A request that rmcp has read enters, its result leaves. One handler serves one session; in 2026-07-28, one request.
//! What is offered is on the [`Menu`], which may be replaced meanwhile: sessions are told on their standalone stream,
//! subscribers of 2026-07-28 on the stream of their request.
//!
//! Invariants:
//! - Every call is counted until it has ended: a daemon that stops waits for all of them.
//! - A caller has one account, whatever it calls: that of its key, else its session's own.

mod audience;
mod caller;
pub(crate) mod log;
pub(crate) mod resources;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Implementation,
    JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::SessionRestoreMarker;
use rmcp::{ErrorData, ServerHandler};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::lend::{Lender, Lending, Willing};
use super::manager::Home;
use super::menu::{Call, Menu, Offers};
use crate::lifecycle::Terms;
use audience::{Audience, Known, Seat, tell_subscriber};
pub(crate) use caller::Caller;
use caller::Identity;
use log::Level;

/// What is said to a model about the server as a whole.
const INSTRUCTIONS: &str = "An inference daemon that the programs of this machine share. `generate` answers a prompt \
                            with one of the models that `list_models` names; `embed` turns texts into vectors; \
                            `run_agent` has a model call tools until it has its answer. Tools named `server__tool` are \
                            those of upstream servers.";

/// What the handlers of all sessions share.
#[derive(Debug)]
pub(crate) struct Desk {
    /// On which terms a call is taken now.
    terms: watch::Receiver<Terms>,
    menu: Menu,
    audience: Arc<Audience>,
    /// Calls that are open.
    calls: TaskTracker,
    started: Instant,
    lending: Lending,
}

impl Desk {
    /// A desk for a daemon that `started` then; its calls are counted by `calls`.
    pub(crate) fn new(
        terms: watch::Receiver<Terms>,
        menu: Menu,
        calls: TaskTracker,
        started: Instant,
        lending: Lending,
    ) -> Arc<Self> {
        Arc::new(Self { terms, menu, audience: Arc::default(), calls, started, lending })
    }

    /// Tells sessions what changes on the menu, until the daemon drains.
    pub(crate) async fn announce(self: Arc<Self>) {
        let (mut changes, draining) = (self.menu.changes(), self.draining());
        tokio::pin!(draining);
        loop {
            tokio::select! {
                () = &mut draining => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
            let now = Known::from(&*changes.borrow_and_update());
            self.audience.catch_up(now).await;
        }
    }

    async fn draining(&self) {
        let service = Arc::clone(&self.terms.borrow().service);
        service.stop.draining().await;
    }

    fn uptime_s(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

/// Serves one session.
#[derive(Debug)]
pub(crate) struct Handler {
    desk: Arc<Desk>,
    identity: Identity,
    /// What the client wants logged; `None`: it has not said.
    level: Mutex<Option<Level>>,
    /// Which lists were there when the session began: what its client may have read.
    known: Known,
    /// Where it hears of changes, once it is there to hear.
    seat: OnceLock<Seat>,
    lender: Lender,
}

impl Handler {
    /// That of a new session.
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        let known = Known::from(&desk.menu.now());
        let lender = Lender::new(desk.lending.clone());
        Self {
            desk,
            identity: Identity::new(),
            level: Mutex::default(),
            known,
            seat: OnceLock::new(),
            lender,
        }
    }

    fn offers(&self) -> Offers {
        self.desk.menu.now()
    }

    fn call(&self, name: String, arguments: Option<JsonObject>, context: RequestContext<RoleServer>) -> Call {
        let arguments = arguments.unwrap_or_default();
        Call { name, arguments, answers: None, state: None, caller: self.caller(context) }
    }

    /// Has a client that is willing asked for as long as its session is there.
    fn lend(&self, context: &NotificationContext<RoleServer>) {
        let Some(Home(session)) = context.extensions.get::<Home>() else { return };
        let asker = Identity::asker(&context.extensions);
        if let Some(client) = Willing::of(context.peer.clone(), Arc::clone(session), &asker) {
            let (lender, stop) = (self.lender.clone(), self.desk.terms.borrow().service.stop.clone());
            // A daemon that drains closes the streams on which it would be asked.
            self.desk.calls.spawn(async move {
                tokio::select! {
                    () = lender.stand(client) => {}
                    () = stop.draining() => {}
                }
            });
        }
    }

    /// Who makes a request, on the terms of now.
    fn caller(&self, context: RequestContext<RoleServer>) -> Caller {
        let service = Arc::clone(&self.desk.terms.borrow().service);
        let (client, audited) = self.identity.of(&service.gate, &context.extensions);
        let asker = Identity::asker(&context.extensions);
        let session = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let log_level = context.meta.log_level().or(session);
        let (lender, uptime_s) = (self.lender.clone(), self.desk.uptime_s());
        Caller { service, client, asker, audited, context, lender, log_level, uptime_s }
    }
}

#[expect(deprecated, reason = "revisions before 2026-07-28 have logging, and their clients ask for it")]
impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("inferd", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.lend(&context);
        let came_back = context.extensions.get::<SessionRestoreMarker>().is_some();
        let known = if came_back { Known::NOTHING } else { self.known };
        let seat = || Seat::take(Arc::clone(&self.desk.audience), context.peer, known);
        let seat = self.seat.get_or_init(seat);
        seat.catch_up(Known::from(&self.offers())).await;
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _context: NotificationContext<RoleServer>,
    ) {
        self.lender.progress().made(&progress.progress_token);
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (tools, next_cursor) = self.offers().tools.page(page.as_ref())?;
        Ok(ListToolsResult { next_cursor, ..ListToolsResult::with_all_items(tools) })
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.offers().tools.find(name).map(|offered| offered.described().clone())
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _open = self.desk.calls.token();
        let Some(offered) = self.offers().tools.find(&params.name).cloned() else {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", params.name), None));
        };
        let call = self.call(params.name.into_owned(), params.arguments, context);
        offered.call(Call { answers: params.input_responses, state: params.request_state, ..call }).await
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let (resources, next_cursor) = self.offers().resources.page(page.as_ref())?;
        Ok(ListResourcesResult { next_cursor, ..ListResourcesResult::with_all_items(resources) })
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let _open = self.desk.calls.token();
        let offers = self.offers();
        if let Some(listed) = offers.resources.find(&params.uri).cloned() {
            return listed.call(self.call(params.uri, None, context)).await;
        }
        let Some(other) = offers.other_resources else {
            return Err(ErrorData::resource_not_found(format!("there is no resource {}", params.uri), None));
        };
        other.call(self.call(params.uri, None, context)).await
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let (templates, next_cursor) = self.offers().templates.page(page.as_ref())?;
        Ok(ListResourceTemplatesResult {
            next_cursor,
            ..ListResourceTemplatesResult::with_all_items(templates)
        })
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let (prompts, next_cursor) = self.offers().prompts.page(page.as_ref())?;
        Ok(ListPromptsResult { next_cursor, ..ListPromptsResult::with_all_items(prompts) })
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let _open = self.desk.calls.token();
        let Some(offered) = self.offers().prompts.find(&params.name).cloned() else {
            return Err(ErrorData::invalid_params(format!("there is no prompt `{}`", params.name), None));
        };
        offered.call(self.call(params.name, params.arguments, context)).await
    }

    async fn set_level(
        &self,
        params: rmcp::model::SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(params.level);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        // What is not in `get_info` is taken out of it by rmcp.
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.desk.menu.changes();
        let mut known = self.known;
        let draining = self.desk.draining();
        tokio::pin!(draining);
        loop {
            // First what has changed since the subscription was acknowledged: its client may have listed since.
            let now = Known::from(&*changes.borrow_and_update());
            if let Err(error) = tell_subscriber(&subscription, &mut known, now).await {
                tracing::debug!(%error, "a subscriber left before it was told of a change");
                return Ok(());
            }
            tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                () = &mut draining => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}

#[cfg(test)]
mod tests;
