//! Tokens: what a registry's 401 is answered with.

use super::Client;
use super::challenge::{Challenge, parse};
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::exchange::{Body, Call, Failed};
use crate::Error;
use serde::Deserialize;
use std::io::Read;
use ureq::http::{HeaderMap, header};

/// The most that a token server may say, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// Docker's and OAuth's name for it.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The value of `Authorization` that answers a challenge; `None` when there are no credentials to make it of.
pub(super) fn answer(
    client: &Client,
    endpoint: &Endpoint,
    headers: &HeaderMap,
    credentials: Option<&Credentials>,
    write: bool,
) -> Result<Option<String>, Failed> {
    let challenges = headers.get_all(header::WWW_AUTHENTICATE).into_iter();
    match parse(challenges.filter_map(|value| value.to_str().ok())) {
        Some(Challenge::Basic) => Ok(credentials.and_then(Credentials::basic)),
        Some(Challenge::Bearer { realm, service, scope }) => {
            let actions = if write { "pull,push" } else { "pull" };
            let own = || format!("repository:{}:{actions}", endpoint.repository);
            let scope = scope.or_else(|| (!endpoint.repository.is_empty()).then(own));
            let asked = Asked { realm: &realm, service: service.as_deref(), scope: scope.as_deref() };
            fetch_token(client, endpoint, &asked, credentials).map(Some)
        }
        None => Ok(None),
    }
}

struct Asked<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scope: Option<&'a str>,
}

/// Asks the token server that the registry named. It gets to see the credentials: so it has to speak TLS, unless the user
/// does without.
fn fetch_token(
    client: &Client,
    endpoint: &Endpoint,
    asked: &Asked<'_>,
    credentials: Option<&Credentials>,
) -> Result<String, Failed> {
    let realm = asked.realm;
    let refuse = |problem: &str| Error::Network {
        request: format!("GET {realm}"),
        problem: problem.to_owned(),
        hint: None,
    };
    let is_safe = realm.starts_with("https://") || endpoint.insecure && realm.starts_with("http://");
    if !is_safe {
        return Err(refuse("a token server has to be reached by https").into());
    }
    let (call, url, authorization) = match credentials {
        Some(Credentials::IdentityToken(token)) => {
            let form = parameters([
                ("grant_type", Some("refresh_token")),
                ("client_id", Some("masu")),
                ("service", asked.service),
                ("scope", asked.scope),
                ("refresh_token", Some(token.as_str())),
            ]);
            let call = Call { method: "POST", body: Body::Bytes(form.into_bytes()), ..Call::get(realm) };
            let call = call.header("content-type", "application/x-www-form-urlencoded".to_owned());
            (call, realm.to_owned(), None)
        }
        credentials => {
            let separator = if realm.contains('?') { '&' } else { '?' };
            // Taking a blob over from another repository takes two scopes. OAuth separates them by spaces (RFC 6749, 3.3), a
            // query has a parameter for each (distribution, spec/auth/token.md).
            let scopes = asked.scope.into_iter().flat_map(str::split_whitespace);
            let query = [("service", asked.service)].into_iter();
            let query = parameters(query.chain(scopes.map(|scope| ("scope", Some(scope)))));
            let url = format!("{realm}{separator}{query}");
            (Call::get(realm), url, credentials.and_then(Credentials::basic))
        }
    };
    let mut response = client.send(&call, &url, authorization.as_deref(), endpoint.insecure)?;
    let status = response.status().as_u16();
    if status != 200 {
        let error = Error::Registry {
            request: format!("{} {realm}", call.method),
            status,
            problem: "no token".to_owned(),
            hint: credentials.is_none().then(|| format!("masu image login {}", endpoint.host)),
        };
        let temporary = super::retry::is_temporary(status);
        return Err(if temporary { Failed::Now(error, None) } else { Failed::Final(error) });
    }
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(MAX_TOKEN).read_to_end(&mut bytes);
    read.map_err(|error| Failed::Now(refuse(&error.to_string()), None))?;
    let token: Token =
        serde_json::from_slice(&bytes).map_err(|error| refuse(&format!("no token: {error}")))?;
    let token = token.token.or(token.access_token).ok_or_else(|| refuse("no token in the answer"))?;
    Ok(format!("Bearer {token}"))
}

/// `name=value&…` of those that have a value, escaped for a query or a form.
fn parameters<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let given = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escape(value?))));
    given.collect::<Vec<_>>().join("&")
}

/// RFC 3986: all but unreserved characters.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_escaped() {
        let pairs = [("service", Some("a b&c")), ("scope", Some("repository:x/y:pull")), ("none", None)];
        assert_eq!(parameters(pairs), "service=a%20b%26c&scope=repository%3Ax%2Fy%3Apull");
    }
}
