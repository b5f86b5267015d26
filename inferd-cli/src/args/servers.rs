//! What may be typed about servers, their tools, and turns with these.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ServersArgs {
    /// Print what the daemon said, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// Only the tools of this server
    pub(crate) server: Option<String>,
    /// Print what the daemon said, as JSON, with the schema of each tool
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The tool: its server's name, two colons, its own name
    pub(crate) tool: String,
    /// Its arguments, as a JSON object; - reads them from standard input
    #[arg(default_value = "{}")]
    pub(crate) arguments: String,
    /// Print the result as one JSON object instead of its text
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up when there is no result after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// The task; what comes on standard input follows it, or is it
    pub(crate) prompt: Option<String>,
    /// The server whose tools to use [default: every server the room allows]
    #[arg(long, value_name = "ID")]
    pub(crate) server: Option<String>,
    /// The room: instructions, model and tools as configured [default: none]
    #[arg(long, value_name = "NAME")]
    pub(crate) room: Option<String>,
    /// The conversation to go on with, as the turn before named it
    #[arg(long, value_name = "ID")]
    pub(crate) thread: Option<String>,
    /// The most turns of the model [default: the daemon's limit]
    #[arg(long, value_name = "N")]
    pub(crate) max_steps: Option<u32>,
    /// The model to ask [default: the room's, or the daemon's choice]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Print the final frame as one JSON object instead of the text
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up when the answer is not complete after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Many servers")]
pub(crate) struct ManyArgs {
    /// Ask on each of these servers, with its tools
    #[arg(long, value_name = "ID,…", value_delimiter = ',', conflicts_with = "no_stream")]
    pub(crate) servers: Vec<String>,
    /// Print every answer under its server's name, as they come [default]; exits with 1 where some failed
    #[arg(long, requires = "servers", conflicts_with = "any")]
    pub(crate) all: bool,
    /// Print the first answer and cancel the other requests
    #[arg(long, requires = "servers")]
    pub(crate) any: bool,
}
