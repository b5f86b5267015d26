//! TLS as every https engine speaks it: rustls on ring, trusting what the operating system trusts.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The configuration of the whole process, made when the first https engine connects: it reads files.
pub(super) async fn config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    CONFIG
        .get_or_try_init(|| async {
            tokio::task::spawn_blocking(|| trusting(system_roots()?))
                .await
                .map_err(|error| format!("reading the system's certificates: {error}"))?
        })
        .await
        .cloned()
}

/// A configuration that trusts `roots` and nothing else.
pub(super) fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, unusable) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(usable, unusable, errors = found.errors.len(), "system certificates read");
    if roots.is_empty() {
        return Err(match found.errors.first() {
            Some(error) => format!("no system certificates: {error}"),
            None => "no system certificates".to_owned(),
        });
    }
    Ok(roots)
}
