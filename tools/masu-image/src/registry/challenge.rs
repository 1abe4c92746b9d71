//! What a registry asks for when it answers 401.

/// A challenge, RFC 9110 section 11.6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from this address.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The challenge that is best answered: a token rather than the password itself.
pub(super) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = None;
    for header in headers {
        let Some((scheme, rest)) = header.trim().split_once(' ').or(Some((header.trim(), ""))) else {
            continue;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            let parameters = parse_parameters(rest);
            let get = |name: &str| {
                let mut all = parameters.iter();
                all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            };
            if let Some(realm) = get("realm") {
                return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// `name=token, name="quoted \" string", …`
fn parse_parameters(text: &str) -> Vec<(String, String)> {
    let (mut parameters, mut rest) = (Vec::new(), text.trim_start());
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => parse_quoted(quoted),
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                (value.trim().to_owned(), after)
            }
        };
        parameters.push((name, value));
        rest = after;
    }
    parameters
}

/// Up to the closing quotation mark, and what follows it.
fn parse_quoted(text: &str) -> (String, &str) {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return (value, text.get(index + 1..).unwrap_or_default()),
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn a_token_is_preferred_to_the_password() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull,push""#;
        let scope = Some("repository:library/busybox:pull,push");
        let cases: [(&[&str], Option<Challenge>); 8] = [
            (&[docker], bearer("https://auth.docker.io/token", Some("registry.docker.io"), scope)),
            (
                &["Basic realm=\"x\"", docker],
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), scope),
            ),
            (&["basic"], Some(Challenge::Basic)),
            (&["bearer REALM=https://a, service=b"], bearer("https://a", Some("b"), None)),
            (&[r#"Bearer realm="a\"b" , scope="c""#], bearer("a\"b", None, Some("c"))),
            (&["Bearer service=\"x\""], None),
            (&["Bearer realm=\"unclosed"], bearer("unclosed", None, None)),
            (&["Negotiate", ""], None),
        ];
        for (headers, challenge) in cases {
            assert_eq!(parse(headers.iter().copied()), challenge, "{headers:?}");
        }
    }
}
