//! Commands that go to the admin socket: where it is, and what to say where it cannot be asked.

use std::path::PathBuf;

use crate::admin::{Admin, AdminError};
use crate::args::Reach;
use crate::client::Address;
use crate::embedded::Home;
use crate::exit::Exit;
use crate::words;

/// Has `work` done by the daemon for the command of this name. Where that fails it has been said why, and the exit is
/// what is left to do.
pub(crate) async fn with_admin<A>(
    reach: &Reach,
    command: &str,
    work: impl AsyncFnOnce(&mut Admin) -> Result<A, AdminError>,
) -> Result<A, Exit> {
    let Some(path) = admin_socket(reach) else {
        eprintln!(
            "inferd-cli: {command} works on the daemon's own machine only: --connect takes a socket's path here"
        );
        return Err(Exit::Usage);
    };
    let done = async { work(&mut Admin::connect(&path).await?).await };
    done.await.map_err(|error| {
        if error.is_absent() {
            eprintln!("inferd-cli: no daemon is running: nobody listens at {}", path.display());
        } else {
            eprintln!("inferd-cli: {}", words::chain(&error));
        }
        Exit::from(&error)
    })
}

/// The admin socket of this user's daemon, or the one beside the socket that was named.
fn admin_socket(reach: &Reach) -> Option<PathBuf> {
    let admin = Home::of_user(reach.config.clone()).admin();
    match &reach.connect {
        None => Some(admin),
        Some(Address::Local(path)) => Some(path.with_file_name(admin.file_name()?)),
        Some(Address::Tcp(_)) => None,
    }
}
