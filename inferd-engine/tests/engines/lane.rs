//! The lane that an engine is here: its address is a scripted server's, its only model is `m`.

use std::time::Duration;

use inferd_engine::RemoteConfig;
use inferd_engine::testing::upstream::Upstream;

/// What nobody but the server may be shown.
pub(crate) const KEY: &str = "my-own-key-71";

/// How long a condition that must come may take before the test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// A time-out that is to be met.
pub(crate) const SHORT: Duration = Duration::from_millis(80);

/// A lane that shows no key.
pub(crate) fn keyless(upstream: &Upstream) -> RemoteConfig {
    let mut config = RemoteConfig::new("lane", upstream.url());
    config.models = vec!["m".into()];
    config
}

/// A lane that shows [`KEY`].
pub(crate) fn keyed(upstream: &Upstream) -> RemoteConfig {
    let mut config = keyless(upstream);
    config.api_key = Some(KEY.into());
    config
}
