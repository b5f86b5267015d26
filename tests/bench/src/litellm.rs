//! LiteLLM's proxy: installed on first use from `litellm.txt`, and started for one model without a network.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::upstream::Upstream;

/// What to install, with every version.
const PACKAGES: &str = include_str!("../litellm.txt");

/// The version measured.
pub fn version() -> &'static str {
    PACKAGES.lines().find_map(|line| line.strip_prefix("litellm==")).unwrap_or_default()
}

/// The program, installed into a venv below `target` unless it already was.
///
/// # Errors
/// No python3 with venv and pip, or no package registry to ask.
pub fn install() -> Result<PathBuf> {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = bench.join("target/litellm");
    let (program, installed) = (venv.join("bin/litellm"), venv.join("installed.txt"));
    if fs::read_to_string(&installed).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(program);
    }
    eprintln!("installing LiteLLM {} into {}", version(), venv.display());
    run("python3", [OsStr::new("-m"), "venv".as_ref(), "--clear".as_ref(), venv.as_ref()])?;
    // Wheels only: no package's own code runs before the proxy does.
    let packages = bench.join("litellm.txt");
    let quietly = ["-q", "--disable-pip-version-check", "--only-binary", ":all:"].map(OsStr::new);
    let what = [OsStr::new("-r"), packages.as_ref()];
    run(venv.join("bin/pip"), ["install".as_ref()].into_iter().chain(quietly).chain(what))?;
    fs::write(installed, PACKAGES)?;
    Ok(program)
}

fn run<'a>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<()> {
    let program = program.as_ref();
    let mut command = Command::new(program);
    // The table is what is printed; whatever an installer has to say goes elsewhere.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().with_context(|| format!("starting {}", program.display()))?;
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok(())
}

/// One worker that relays `upstream`, keeps its prices to itself and reports to nobody.
pub fn command(program: &Path, home: &Path, address: SocketAddr, upstream: &Upstream) -> Result<Command> {
    let config = home.join("config.yaml");
    let model = format!("model: openai/m, api_base: '{}/v1', api_key: none", upstream.base_url());
    fs::write(
        &config,
        format!(
            "model_list: [{{ model_name: m, litellm_params: {{ {model} }} }}]\n\
             litellm_settings: {{ telemetry: false }}\n"
        ),
    )?;
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin");
    command.env("LITELLM_LOG", "ERROR").env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command.arg("--config").arg(config).args(["--telemetry", "False", "--num_workers", "1"]);
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    Ok(command)
}
