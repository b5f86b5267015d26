//! Where the tools of a room come from.

use async_trait::async_trait;

use super::error::ToolError;
use super::registry::ToolRegistry;

/// The tools of a room. An async closure `|room: String| async { … }` is one.
#[async_trait]
pub trait ToolResolver: Send + Sync {
    /// The tools of `room`, now. Dropping the future gives up.
    ///
    /// # Errors
    /// [`ToolError`] where they cannot be had.
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError>;
}

#[async_trait]
impl<F, Fut> ToolResolver for F
where
    F: Fn(String) -> Fut + Send + Sync,
    Fut: Future<Output = Result<ToolRegistry, ToolError>> + Send,
{
    async fn tools(&self, room: &str) -> Result<ToolRegistry, ToolError> {
        self(room.to_owned()).await
    }
}

/// The tools of a room on one of many servers. An async closure `|server: String, room: String| async { … }` is one,
/// and so is a [`ServerRegistry`](crate::servers::ServerRegistry), which asks the server.
#[async_trait]
pub trait ServerScopedToolResolver: Send + Sync {
    /// The tools that `server` has for `room`, now, by their own names. Dropping the future gives up.
    ///
    /// # Errors
    /// [`ToolError`] where they cannot be had.
    async fn tools(&self, server: &str, room: &str) -> Result<ToolRegistry, ToolError>;
}

#[async_trait]
impl<F, Fut> ServerScopedToolResolver for F
where
    F: Fn(String, String) -> Fut + Send + Sync,
    Fut: Future<Output = Result<ToolRegistry, ToolError>> + Send,
{
    async fn tools(&self, server: &str, room: &str) -> Result<ToolRegistry, ToolError> {
        self(server.to_owned(), room.to_owned()).await
    }
}
