//! Log lines with a client. 2026-07-28 calls them deprecated; it and all before it have them.
#![expect(deprecated, reason = "there is no other way to log with a client")]

use rmcp::Peer;
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam};
use rmcp::service::{RoleServer, ServiceError};
use serde_json::Value;

/// How much a line matters.
pub(crate) type Level = LoggingLevel;

pub(crate) const INFO: Level = LoggingLevel::Info;
pub(crate) const WARNING: Level = LoggingLevel::Warning;

/// Whether a line of this level is wanted by who asked for those of `threshold`.
pub(crate) fn is_at_least(level: Level, threshold: Level) -> bool {
    level as u8 >= threshold as u8
}

/// Sends a line.
pub(crate) async fn send(
    peer: &Peer<RoleServer>,
    level: Level,
    logger: &str,
    data: Value,
) -> Result<(), ServiceError> {
    let line = LoggingMessageNotificationParam::new(level, data).with_logger(logger);
    peer.notify_logging_message(line).await
}
