//! Which proxy a server is reached through: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.

use std::net::IpAddr;

/// The proxy for a server, as everybody reads these variables: in lower case first, none for this very machine.
pub(super) fn choose(variable: impl Fn(&str) -> Option<String>, scheme: &str, host: &str) -> Option<String> {
    let get = |name: &str| {
        let value = variable(&name.to_ascii_lowercase()).or_else(|| variable(name));
        value.filter(|value| !value.is_empty())
    };
    let (name, port) = split(host);
    let is_loopback = name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if name == "localhost" || is_loopback {
        return None;
    }
    let exceptions = get("NO_PROXY").unwrap_or_default();
    if exceptions.split(',').any(|exception| matches(exception.trim(), name, port)) {
        return None;
    }
    get(if scheme == "http" { "HTTP_PROXY" } else { "HTTPS_PROXY" }).or_else(|| get("ALL_PROXY"))
}

/// A host without the brackets of an IPv6 address, and its port.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    }
}

/// `*`, `HOST`, `.DOMAIN`, each with `:PORT` or without; a host's name stands for those below it too.
fn matches(exception: &str, name: &str, port: Option<&str>) -> bool {
    let (pattern, wanted_port) = match exception.parse::<IpAddr>() {
        Ok(_) => (exception, None),
        Err(_) => split(exception),
    };
    if wanted_port.is_some() && wanted_port != port {
        return false;
    }
    let domain = pattern.trim_start_matches("*.").trim_start_matches('.');
    let is_below = || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    pattern == "*" || (!domain.is_empty() && (name.eq_ignore_ascii_case(domain) || is_below()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_chosen_by_scheme_and_host() {
        let variables = |no_proxy: &'static str| {
            move |name: &str| {
                let value = match name {
                    "https_proxy" => "http://secure:3128",
                    "HTTP_PROXY" => "http://plain:3128",
                    "NO_PROXY" => no_proxy,
                    _ => return None,
                };
                Some(value.to_owned())
            }
        };
        let secure = Some("http://secure:3128");
        let cases = [
            ("", "https", "quay.io", secure),
            ("", "http", "quay.io", Some("http://plain:3128")),
            ("", "https", "127.0.0.1:5000", None),
            ("", "https", "localhost:5000", None),
            ("", "https", "[::1]:5000", None),
            ("quay.io", "https", "quay.io", None),
            ("quay.io", "https", "cdn.quay.io:443", None),
            ("quay.io", "https", "notquay.io", secure),
            (".quay.io", "https", "cdn.quay.io", None),
            ("a, *.quay.io", "https", "cdn.quay.io", None),
            ("quay.io:5000", "https", "quay.io", secure),
            ("quay.io:5000", "https", "quay.io:5000", None),
            ("*", "https", "quay.io", None),
            ("fd00::1", "https", "[fd00::1]:5000", None),
        ];
        for (no_proxy, scheme, host, proxy) in cases {
            assert_eq!(choose(variables(no_proxy), scheme, host).as_deref(), proxy, "{no_proxy:?} {host}");
        }
    }
}
