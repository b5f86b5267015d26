//! What the daemon says to MCP clients: tools, resources, and what it can do.
//!
//! A request that rmcp has read enters, its result leaves. One handler serves one session; in 2026-07-28, one request.
//!
//! Invariants:
//! - Every call is counted until it has ended: a daemon that stops waits for all of them.
//! - A caller has one account, whatever it calls: that of its key, else its session's own.

mod caller;
pub(crate) mod log;
mod resources;

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::lend::{Lender, Lending, Willing};
use super::manager::Home;
use super::tools::{Call, Tools};
use crate::lifecycle::Terms;
pub(crate) use caller::Caller;
use caller::Identity;
use log::Level;

/// What is said to a model about the server as a whole.
const INSTRUCTIONS: &str = "An inference daemon that the programs of this machine share. `generate` answers a prompt \
                            with one of the models that `list_models` names; `embed` turns texts into vectors.";

/// What the handlers of all sessions share.
#[derive(Debug)]
pub(crate) struct Desk {
    /// On which terms a call is taken now.
    terms: watch::Receiver<Terms>,
    tools: Tools,
    /// Calls that are open.
    calls: TaskTracker,
    started: Instant,
    lending: Lending,
}

impl Desk {
    /// A desk for a daemon that `started` then; its calls are counted by `calls`.
    pub(crate) fn new(
        terms: watch::Receiver<Terms>,
        tools: Tools,
        calls: TaskTracker,
        started: Instant,
        lending: Lending,
    ) -> Arc<Self> {
        Arc::new(Self { terms, tools, calls, started, lending })
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
    lender: Lender,
}

impl Handler {
    /// That of a new session.
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        let lender = Lender::new(desk.lending.clone());
        Self { desk, identity: Identity::new(), level: Mutex::default(), lender }
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
            .enable_resources()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("inferd", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let Some(Home(session)) = context.extensions.get::<Home>() else { return };
        let asker = Identity::asker(&context.extensions);
        if let Some(client) = Willing::of(context.peer, Arc::clone(session), &asker) {
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

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _context: NotificationContext<RoleServer>,
    ) {
        self.lender.progress().made(&progress.progress_token);
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.desk.tools.list()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.desk.tools.find(name).map(|offered| offered.tool.clone())
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _open = self.desk.calls.token();
        let Some(offered) = self.desk.tools.find(&params.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", params.name), None));
        };
        let arguments = params.arguments.unwrap_or_default();
        let (answers, state) = (params.input_responses, params.request_state);
        offered.call(Call { arguments, answers, state, caller: self.caller(context) }).await
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&params.uri, &self.caller(context)).map(Into::into)
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
}

#[cfg(test)]
mod tests;
