//! The command line: what may be typed, and what it means.

mod servers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use inferd_proto::Priority;

use crate::client::Address;
use crate::exit;
use crate::log;

pub(crate) use servers::{AgentArgs, CallArgs, ManyArgs, ServersArgs, ToolsArgs};

/// Talk to the inference daemon that the programs on this machine share.
///
/// Where no daemon is running, a command that asks for something starts one for as long as it runs.
#[derive(Debug, Parser)]
#[command(name = "inferd-cli", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the daemon is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Daemon")]
pub(crate) struct Reach {
    /// The daemon to use: a socket's path or tcp://host:port [default: this user's daemon]
    #[arg(long, value_name = "ADDR", env = "INFERD_CONNECT", hide_env_values = true, global = true)]
    pub(crate) connect: Option<Address>,
    /// The environment variable that holds the API key, for a daemon reached by TCP
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) api_key_env: Option<String>,
    /// The configuration of a daemon started here [default: as inferd-daemon finds it]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hold a conversation
    ///
    /// Ctrl-C ends an answer, Ctrl-D the conversation; /help lists the commands. With input from a pipe each line
    /// is a turn, and standard output gets the answers and nothing else.
    Chat(ChatArgs),
    /// Ask one question and print the answer
    #[command(after_help = exit::TABLE)]
    Ask(AskArgs),
    /// Turn texts into vectors
    ///
    /// Prints a vector a line, as JSON, in the order of the texts.
    #[command(after_help = exit::TABLE)]
    Embed(EmbedArgs),
    /// List the models there are
    Models(ModelsArgs),
    /// List the servers whose tools there are
    Servers(ServersArgs),
    /// List the tools of the servers
    ///
    /// A server that does not answer is named on standard error.
    Tools(ToolsArgs),
    /// Call a tool
    ///
    /// Prints the text of its result.
    #[command(after_help = exit::TABLE_OF_CALL)]
    Call(CallArgs),
    /// Have a model do a task with tools
    ///
    /// The model calls tools and reads their results, step by step, until it has an answer.
    #[command(after_help = exit::TABLE)]
    Agent(AgentArgs),
    /// Show what the daemon is doing
    ///
    /// Exits with 10 where none is running.
    Status(StatusArgs),
    /// Show who asked the daemon for what
    ///
    /// Reads what this user's daemon has kept, whether it runs or not: a line a call, the oldest first. No prompt and no
    /// answer is in it.
    Log(LogArgs),
    /// Have the daemon read its configuration again
    ///
    /// No request is lost. A configuration that cannot be used is refused whole, and the daemon keeps the one it has:
    /// exits with 5. Exits with 10 where none is running.
    Reload,
    /// Speak the Model Context Protocol on standard input and output
    ///
    /// For MCP clients that launch programs: passes every message to the daemon's MCP listener and back, which has to be
    /// on (inferd-daemon --mcp). With --connect tcp://host:port the listener is there. Exits with 10 where none is.
    Mcp,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// The model to talk to [default: the daemon's choice]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Instructions for the whole conversation
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) system: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The question; what comes on standard input follows it, or is it
    pub(crate) prompt: Option<String>,
    /// The model to ask [default: the daemon's choice]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Instructions to the model
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// The longest answer, in tokens
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<u32>,
    /// How freely the model chooses its words, 0 to 2
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f64>,
    /// Print the final frame as one JSON object instead of the text
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the answer when it is complete, not as it comes
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Who goes first when the daemon is busy
    #[arg(long, value_name = "BAND")]
    pub(crate) priority: Option<Band>,
    /// Give up when the answer is not complete after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
    /// Give up when still waiting in the queue after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) max_wait_ms: Option<u64>,
    #[command(flatten)]
    pub(crate) many: ManyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// The texts [default: each line of standard input]
    pub(crate) texts: Vec<String>,
    /// The model to ask [default: the daemon's choice]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The length of the vectors, for a model that can shorten them
    #[arg(long, value_name = "N")]
    pub(crate) dimensions: Option<u32>,
    /// Print what the daemon said, as JSON: the vectors of up to 2048 texts a line, with model and tokens
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Print what the daemon said, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print what the daemon said, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Only calls of this last span of time, as in 90s, 15m, 1h, 7d
    #[arg(long, value_name = "SPAN", value_parser = log::span)]
    pub(crate) since: Option<Duration>,
    /// The most calls to show, the newest of them
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub(crate) count: u32,
    /// Print a line of JSON for each call
    #[arg(long)]
    pub(crate) json: bool,
}

/// The bands of admission.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Band {
    /// Somebody is watching
    Interactive,
    /// The default
    Normal,
    /// When there is time
    Batch,
}

impl From<Band> for Priority {
    fn from(band: Band) -> Self {
        match band {
            Band::Interactive => Self::Interactive,
            Band::Normal => Self::Normal,
            Band::Batch => Self::Batch,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_says_what_each_command_does() {
        let mut cli = Cli::command();
        cli.build();
        insta::assert_snapshot!("help", cli.render_long_help());
        for name in [
            "chat", "ask", "embed", "models", "servers", "tools", "call", "agent", "status", "reload", "mcp",
            "log",
        ] {
            let command = cli.find_subcommand_mut(name).unwrap();
            insta::assert_snapshot!(format!("help_{name}"), command.render_help());
        }
    }

    #[test]
    fn no_option_is_defined_twice() {
        Cli::command().debug_assert();
    }
}
