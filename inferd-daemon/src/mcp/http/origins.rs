//! Who may be asked for, and from which page: a name of this machine, unless more are allowed.
//!
//! A page anywhere can have its browser ask a server of this machine, and with a name of its own for it even read the
//! answer. It cannot choose what its browser says in `Host` and `Origin`.

use hyper::Uri;
use hyper::header::{self, HeaderMap, HeaderValue};

/// Names of the loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// A request that is not answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the Host is not a name of this server")]
    Host,
    #[error("the Origin is not allowed here")]
    Origin,
}

/// What is allowed.
#[derive(Debug)]
pub(super) struct Origins {
    origins: Vec<Origin>,
    hosts: Vec<Host>,
}

/// A scheme, a host and a port.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

/// A host; without a port, on any.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Origins {
    /// Allows the loopback, `origins` with their hosts, and `hosts`. What cannot be read allows nothing.
    pub(super) fn new(origins: &[String], hosts: &[String]) -> Self {
        let origins: Vec<Origin> = origins.iter().filter_map(|origin| Origin::parse(origin)).collect();
        let named = origins.iter().map(|origin| Host { name: origin.host.clone(), port: None });
        let hosts = hosts.iter().filter_map(|host| Host::parse(host)).chain(named).collect();
        Self { origins, hosts }
    }

    /// Looks at both. Leaves the origin, if there is one, to be repeated in the answer.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refused> {
        let host = match headers.get(header::HOST) {
            Some(host) => host.to_str().ok(),
            None => uri.authority().map(hyper::http::uri::Authority::as_str),
        };
        let host = host.and_then(Host::parse).ok_or(Refused::Host)?;
        if !self.names(&host) {
            return Err(Refused::Host);
        }
        let Some(value) = headers.get(header::ORIGIN) else { return Ok(None) };
        let origin = value.to_str().ok().and_then(Origin::parse).ok_or(Refused::Origin)?;
        let local =
            LOOPBACK.contains(&origin.host.as_str()) && ["http", "https"].contains(&origin.scheme.as_str());
        if local || self.origins.contains(&origin) { Ok(Some(value.clone())) } else { Err(Refused::Origin) }
    }

    fn names(&self, host: &Host) -> bool {
        let is = |known: &Host| known.name == host.name && (known.port.is_none() || known.port == host.port);
        LOOPBACK.contains(&host.name.as_str()) || self.hosts.iter().any(is)
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.trim().parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let Host { name, port } = Host::parse(uri.authority()?.as_str())?;
        let port = port.or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        Some(Self { scheme, host: name, port })
    }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let authority: hyper::http::uri::Authority = text.trim().parse().ok()?;
        // A name with a user in front is none.
        let plain = !authority.as_str().contains('@');
        let (name, port) = (authority.host().to_ascii_lowercase(), authority.port_u16());
        (plain && !name.is_empty()).then_some(Self { name, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origins: &Origins, host: &str, origin: Option<&str>) -> Result<bool, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        origins.check(&Uri::from_static("/mcp"), &headers).map(|origin| origin.is_some())
    }

    #[test]
    fn only_the_loopback_is_allowed_unless_said_otherwise() {
        let origins = Origins::new(&[], &[]);
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:47324", "[::1]:47324"] {
            assert_eq!(check(&origins, host, None), Ok(false), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:1", "me@localhost", "0.0.0.0"]
        {
            assert_eq!(check(&origins, host, None), Err(Refused::Host), "{host}");
        }
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5"] {
            assert_eq!(check(&origins, "localhost", Some(origin)), Ok(true), "{origin}");
        }
        for origin in ["null", "http://evil.example", "http://localhost.evil.example", "file://localhost", ""]
        {
            assert_eq!(check(&origins, "localhost", Some(origin)), Err(Refused::Origin), "{origin}");
        }
        assert_eq!(origins.check(&Uri::from_static("/mcp"), &HeaderMap::new()), Err(Refused::Host));
    }

    #[test]
    fn an_allowed_origin_is_one_scheme_host_and_port_and_its_host_a_name_of_the_server() {
        let origins = Origins::new(&["https://app.example".to_owned()], &["box.lan:7".to_owned()]);
        for (host, origin, expect) in [
            ("app.example", Some("https://app.example"), Ok(true)),
            ("app.example:8", Some("https://app.example:443"), Ok(true)),
            ("app.example", Some("http://app.example"), Err(Refused::Origin)),
            ("app.example", Some("https://app.example:8443"), Err(Refused::Origin)),
            ("box.lan:7", None, Ok(false)),
            ("box.lan:8", None, Err(Refused::Host)),
            ("box.lan:7", Some("http://box.lan:7"), Err(Refused::Origin)),
        ] {
            assert_eq!(check(&origins, host, origin), expect, "{host} {origin:?}");
        }
    }
}
