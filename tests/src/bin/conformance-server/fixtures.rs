//! A server whose tools, resources and prompts are what the official MCP conformance suite expects to find, so that
//! the suite can look at the sessions, streams and checks of `inferd_daemon::mcp` through them.
//!
//! Invariants: nothing here speaks HTTP or knows a session; what is tested is the daemon's own.
#![expect(deprecated, reason = "the revisions before 2026-07-28 have resource subscriptions and log levels")]

mod asking;
mod calling;
mod catalogue;
mod changes;
mod rounds;

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
    GetPromptResponse, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use changes::Changes;
use rounds::States;

/// The fixtures. Clones share what they remember.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fixtures {
    changes: Arc<Changes>,
    states: Arc<States>,
}

type Context = RequestContext<RoleServer>;

/// A result that is complete, written as JSON. Clients before 2026-07-28 are not told so.
fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = json!("complete");
    of(value)
}

/// A value of the protocol written as JSON: the fixtures are given as JSON by the suite.
fn of<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        of(json!({
            "protocolVersion": "2025-11-25",
            "serverInfo": { "name": "inferd-conformance", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": {
                "completions": {},
                "logging": {},
                "prompts": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": true },
                "tools": { "listChanged": true },
            },
        }))
        .expect("the line above is a server's description")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        result(json!({ "tools": catalogue::tools() }))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tool = catalogue::tools().into_iter().find(|tool| tool["name"] == name)?;
        serde_json::from_value(tool).ok()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        calling::call(self, call, context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        result(json!({ "resources": catalogue::resources() }))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        result(json!({ "resourceTemplates": catalogue::templates() }))
    }

    async fn read_resource(
        &self,
        read: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match catalogue::resource(&read.uri) {
            Some(contents) => Ok(ReadResourceResponse::Complete(result(json!({ "contents": [contents] }))?)),
            None => Err(ErrorData::resource_not_found("no such resource", Some(json!({ "uri": read.uri })))),
        }
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        result(json!({ "prompts": catalogue::prompts() }))
    }

    async fn get_prompt(
        &self,
        get: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if get.name == "test_input_required_result_prompt" {
            return rounds::prompt(get.input_responses.as_ref());
        }
        let arguments = get.arguments.unwrap_or_default();
        match catalogue::prompt(&get.name, &arguments) {
            Some(messages) => Ok(GetPromptResponse::Complete(result(json!({ "messages": messages }))?)),
            None => Err(ErrorData::invalid_params("no such prompt", Some(json!({ "name": get.name })))),
        }
    }

    async fn complete(&self, _: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        result(
            json!({ "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false } }),
        )
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.changes.tell(&subscription).await;
        Ok(())
    }
}
