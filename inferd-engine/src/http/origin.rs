//! Where a configured base URL leads: a host, a port, and the path that every request begins with.

use http::Uri;
use http::header::HeaderValue;

/// A base URL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It does not parse, or names no host.
    #[error("base_url: expected http://host or https://host")]
    NotAnUrl,
    /// It is neither `http` nor `https`.
    #[error("base_url: expected http or https, got {0}")]
    Scheme(String),
    /// It holds a user name or password.
    #[error("base_url: credentials do not belong in it, use api_key_env")]
    Credentials,
    /// It has a `?query`, which no request could carry on.
    #[error("base_url: expected no query")]
    Query,
}

/// A parsed base URL.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Whether TLS is spoken.
    pub(crate) tls: bool,
    /// Host name or address, without brackets.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// The `host` header.
    pub(crate) authority: HeaderValue,
    /// Path without a slash at its end; may be empty.
    prefix: String,
}

impl Origin {
    /// Parses `base`; where it has no path of its own, `default_prefix` (such as `/v1`) is used.
    pub(crate) fn parse(base: &str, default_prefix: &str) -> Result<Self, BadUrl> {
        let uri: Uri = base.trim().parse().map_err(|_| BadUrl::NotAnUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(BadUrl::Scheme(other.to_owned())),
            None => return Err(BadUrl::NotAnUrl),
        };
        let authority = uri.authority().ok_or(BadUrl::NotAnUrl)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::Credentials);
        }
        if uri.query().is_some() {
            return Err(BadUrl::Query);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(BadUrl::NotAnUrl);
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            tls,
            host,
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| BadUrl::NotAnUrl)?,
            prefix: if path.is_empty() { default_prefix } else { path }.to_owned(),
        })
    }

    /// The request target for `path` (such as `/models`) below the base.
    pub(crate) fn target(&self, path: &str) -> Result<Uri, BadUrl> {
        format!("{}{path}", self.prefix).parse().map_err(|_| BadUrl::NotAnUrl)
    }

    /// Host and port, for people.
    pub(crate) fn to(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, to: &str, target: &str) {
        let origin = Origin::parse(base, "/v1").unwrap();
        assert_eq!((origin.to().as_str(), origin.target("/models").unwrap().path()), (to, target), "{base}");
    }

    #[test]
    fn a_base_without_a_path_gets_the_default_one_and_any_other_is_kept() {
        check("http://127.0.0.1:8080", "127.0.0.1:8080", "/v1/models");
        check("https://api.example.com/", "api.example.com:443", "/v1/models");
        check("http://host/openai/v4", "host:80", "/openai/v4/models");
        check("http://host/v1/", "host:80", "/v1/models");
        check("http://[::1]:9", "[::1]:9", "/v1/models");
    }

    #[test]
    fn a_base_that_cannot_be_used_says_why() {
        let refused = |base| Origin::parse(base, "/v1").unwrap_err();
        assert_eq!(refused("localhost:8080"), BadUrl::NotAnUrl);
        assert_eq!(refused("nonsense"), BadUrl::NotAnUrl);
        assert_eq!(refused("ftp://host"), BadUrl::Scheme("ftp".into()));
        assert_eq!(refused("https://me:secret@host/v1"), BadUrl::Credentials);
        assert_eq!(refused("https://host/v1?key=1"), BadUrl::Query);
    }
}
