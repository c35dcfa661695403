//! Which requests are allowed: the checks that keep other web sites out, before anything else is done with a request.
//!
//! - **Host**: a hostile page can make its own name resolve to our address (DNS rebinding). For the browser, it then
//!   has the same origin as we do. But the browser still sends that name, which is not one of ours. Names that no one
//!   outside the home network can give to a page count as ours.
//! - **Origin** and **Sec-Fetch-Site**: a page of another site can make a browser send us a request, but the browser
//!   says which site it was.
//! - **Content-Type** and **token**: a form on another site cannot send either, in any browser.
//!
//! Everything here is a function of the request. [`login`](super::login) knows who is logged in.

use std::net::{IpAddr, Ipv6Addr};

use rouille::Request;

use crate::web::error::{ApiError, Code};
use crate::web::login::{Login, Password, same};
use crate::web::pages::Access;

/// The header with the token of `GET /api/v1/session`.
const TOKEN: &str = "X-DPMP-Token";

/// Allows a request, or returns why not. `allowed_hosts`: `gui.allowed_hosts`; `password`: the one in force.
///
/// # Errors
/// The first check that it fails.
pub(super) fn admit(
    request: &Request,
    access: Access,
    allowed_hosts: &[String],
    login: &Login,
    password: Option<&Password>,
) -> Result<(), ApiError> {
    if access == Access::Anyone {
        return Ok(());
    }
    let host = check_host(request.header("Host"), allowed_hosts)?;
    if access == Access::Link {
        return Ok(());
    }
    check_origin(request.header("Origin"), host)?;
    check_site(request.header("Sec-Fetch-Site"))?;
    let changes = match access {
        Access::Guest | Access::Owner => true,
        Access::Anyone | Access::Link | Access::Visitor | Access::Reader => false,
    };
    if changes {
        check_content_type(request.header("Content-Type"))?;
        check_token(request.header(TOKEN), login.token())?;
    }
    let private = match access {
        Access::Reader | Access::Owner => true,
        Access::Anyone | Access::Link | Access::Visitor | Access::Guest => false,
    };
    if private && !login.is_logged_in(request, password) {
        return Err(ApiError::new(
            Code::LoginRequired,
            "Log in first: these pages have a password.",
        ));
    }
    Ok(())
}

/// The Host of the request, if it is one of ours: an IP address, a name that an outsider cannot have, or one of
/// `allowed`.
fn check_host<'a>(host: Option<&'a str>, allowed: &[String]) -> Result<&'a str, ApiError> {
    let refused = |message: String| ApiError::new(Code::BadHost, message);
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(refused("The request has no Host.".into()));
    };
    let known = name_of(host).is_some_and(|name| {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        is_address(&name)
            || is_of_this_network(&name)
            || allowed
                .iter()
                .any(|entry| name_of(entry).is_some_and(|entry| entry.eq_ignore_ascii_case(&name)))
    });
    if known {
        Ok(host)
    } else {
        Err(refused(format!(
            "DPMP is not known by the name {:?}, so it does not answer to it. Use this computer's IP address instead, such \
             as http://192.168.1.10:8855/, or add the name to gui.allowed_hosts in config.json.",
            host.chars().take(100).collect::<String>()
        )))
    }
}

/// A request must come from one of our pages: its origin without the scheme must equal the Host.
fn check_origin(origin: Option<&str>, host: &str) -> Result<(), ApiError> {
    let Some(origin) = origin else { return Ok(()) };
    let ours = origin
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
        .is_some_and(|(scheme, place)| {
            without_usual_port(place, scheme).eq_ignore_ascii_case(without_usual_port(host, scheme))
        });
    if ours {
        Ok(())
    } else {
        Err(ApiError::new(
            Code::BadOrigin,
            "The request comes from a page of another web site.",
        ))
    }
}

/// What browsers send about the source of a request in addition to `Origin`, especially if they send none.
fn check_site(site: Option<&str>) -> Result<(), ApiError> {
    match site {
        // `none`: the owner typed the address.
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(ApiError::new(
            Code::BadOrigin,
            "The request comes from a page of another web site.",
        )),
    }
}

/// Forms cannot be sent as JSON.
fn check_content_type(value: Option<&str>) -> Result<(), ApiError> {
    let kind = value.and_then(|value| value.split(';').next());
    if kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        Ok(())
    } else {
        Err(ApiError::new(
            Code::NotJson,
            "The request must have the Content-Type application/json.",
        ))
    }
}

fn check_token(sent: Option<&str>, token: &str) -> Result<(), ApiError> {
    if sent.is_some_and(|sent| same(sent.as_bytes(), token.as_bytes())) {
        Ok(())
    } else {
        Err(ApiError::new(
            Code::BadToken,
            "The token is missing, or DPMP was restarted since then. Reload the page.",
        ))
    }
}

/// The name in `name`, `name:port` or `[address]:port`.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = host.len() - rest.len() + rest.find(']')? + 1;
            host.split_at(end)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_right = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    (port_is_right && !name.is_empty()).then_some(name)
}

fn is_address(name: &str) -> bool {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
        None => name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4()),
    }
}

/// Domains that do not exist in the public DNS, so that no outsider can have a name in them: those of multicast DNS and
/// Tor, those reserved for homes and companies (RFC 8375, ICANN's `internal`), and those that routers use. A router
/// maker's own domain (`fritz.box`) or a VPN's (`ts.net`) is public, and anyone can get a name in it.
const PRIVATE_DOMAINS: [&str; 8] = [
    "local",
    "onion",
    "localhost",
    "home.arpa",
    "internal",
    "lan",
    "home",
    "localdomain",
];

/// Whether no outsider can have this name: a single word, such as `localhost` or `umbrel`, which the router or the
/// machine resolves, or a name in a private domain.
fn is_of_this_network(name: &str) -> bool {
    let plain = |part: &str| {
        let mut letters = part.bytes();
        letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && part.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let in_domain = |domain: &&str| {
        let rest = name.strip_suffix(*domain).unwrap_or_default();
        rest.len() > 1 && rest.ends_with('.')
    };
    if name.contains('.') {
        PRIVATE_DOMAINS.iter().any(in_domain)
    } else {
        plain(name)
    }
}

/// Browsers leave out the default port.
fn without_usual_port<'a>(place: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    place.strip_suffix(usual).unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_must_name_this_proxy() {
        let allowed = ["dpmp.my-lan".to_owned(), "other.example:8855".to_owned()];
        for good in [
            "192.168.1.5",
            "192.168.1.5:8855",
            "127.0.0.1:1",
            "[::1]",
            "[fe80::1]:8855",
            "localhost",
            "LOCALHOST:8855",
            "localhost.",
            "umbrel.local",
            "Umbrel.Local:80",
            "a.b.local",
            "umbrel",
            "Umbrel:8855",
            "dpmp-proxy_web_1:8855",
            "abcdefghijklmnop.onion",
            "dpmp.lan:8855",
            "DPMP.Home.Arpa",
            "dpmp.internal",
            "umbrel.home",
            "raspberrypi.localdomain:8855",
            "dpmp.localhost",
            "dpmp.my-lan",
            "DPMP.my-lan:443",
            "other.example",
            "other.example:1",
        ] {
            assert_eq!(check_host(Some(good), &allowed), Ok(good));
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8855",
            ".local",
            ".onion",
            ".lan",
            "home.arpa",
            "evilhome.arpa",
            "dpmp.arpa",
            "dpmp.fritz.box",
            "dpmp.tail1234.ts.net",
            "dpmp.lan.evil.example",
            "evil.notlan",
            "umbrel.local.evil.example",
            "umbrel.onion.evil.example",
            "evil.example.notlocal",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "2130706433",
            "0x7f.1",
            "::1",
            "[::1",
            "[::1]evil.example",
            "[localhost]",
            "localhost:8855@evil.example",
            "localhost:80:80",
            "localhost evil",
            "xdpmp.my-lan",
            "dpmp.my-lan.evil.example",
        ] {
            let error = check_host(Some(bad), &allowed).unwrap_err();
            assert_eq!(error.code, Code::BadHost, "{bad}");
        }
        assert!(check_host(None, &allowed).is_err());
    }

    #[test]
    fn the_origin_must_match_the_host() {
        for (origin, host) in [
            ("http://umbrel.local:8855", "umbrel.local:8855"),
            ("http://Umbrel.local:8855", "umbrel.local:8855"),
            ("https://dpmp.example", "dpmp.example"),
            ("https://dpmp.example", "dpmp.example:443"),
            ("http://dpmp.example", "dpmp.example:80"),
            ("http://[::1]:8855", "[::1]:8855"),
        ] {
            assert_eq!(check_origin(Some(origin), host), Ok(()), "{origin}");
        }
        for (origin, host) in [
            ("null", "umbrel.local:8855"),
            ("", "umbrel.local:8855"),
            ("http://evil.example", "umbrel.local:8855"),
            // Another app on the same machine.
            ("http://umbrel.local:3000", "umbrel.local:8855"),
            ("http://umbrel.local", "umbrel.local:8855"),
            ("http://umbrel.local:8855.evil.example", "umbrel.local:8855"),
            ("file://umbrel.local:8855", "umbrel.local:8855"),
            ("umbrel.local:8855", "umbrel.local:8855"),
        ] {
            let error = check_origin(Some(origin), host).unwrap_err();
            assert_eq!(error.code, Code::BadOrigin, "{origin}");
        }
        assert_eq!(check_origin(None, "umbrel.local"), Ok(()));
    }

    #[test]
    fn cross_site_requests_are_refused() {
        for good in [None, Some("same-origin"), Some("none")] {
            assert_eq!(check_site(good), Ok(()));
        }
        for bad in ["cross-site", "same-site", "", "new-word"] {
            assert_eq!(check_site(Some(bad)).unwrap_err().code, Code::BadOrigin);
        }
    }

    #[test]
    fn only_json_is_accepted() {
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            " application/json ;x",
        ] {
            assert_eq!(check_content_type(Some(good)), Ok(()));
        }
        for bad in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "application/jsonp",
            "text/plain; application/json",
        ] {
            assert_eq!(
                check_content_type(Some(bad)).unwrap_err().code,
                Code::NotJson,
                "{bad}"
            );
        }
        assert!(check_content_type(None).is_err());
    }

    #[test]
    fn a_token_must_match_in_full() {
        assert_eq!(check_token(Some("abc"), "abc"), Ok(()));
        for bad in [None, Some(""), Some("ab"), Some("abcd"), Some("abd")] {
            assert_eq!(check_token(bad, "abc").unwrap_err().code, Code::BadToken);
        }
    }

    fn request(headers: &[(&str, &str)]) -> Request {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request::fake_http("POST", "/", headers.collect(), Vec::new())
    }

    fn refusal(access: Access, headers: &[(&str, &str)], hash: Option<&str>) -> Option<Code> {
        let login = Login::with_token("t");
        let password = hash.map(|hash| Password::Hashed(hash.to_owned()));
        let admitted = admit(&request(headers), access, &[], &login, password.as_ref());
        admitted.err().map(|error| error.code)
    }

    #[test]
    fn each_kind_of_access_requires_its_checks() {
        const HOST: (&str, &str) = ("Host", "localhost");
        const JSON: (&str, &str) = ("Content-Type", "application/json");
        const TOKEN: (&str, &str) = ("X-DPMP-Token", "t");
        let all = [HOST, JSON, TOKEN];
        let password = Some("a hash");
        for (access, headers, hash, code) in [
            (Access::Anyone, &[][..], password, None),
            (Access::Visitor, &[], None, Some(Code::BadHost)),
            (Access::Visitor, &[HOST], password, None),
            (Access::Reader, &[HOST], None, None),
            (Access::Reader, &[HOST], password, Some(Code::LoginRequired)),
            (Access::Reader, &[], password, Some(Code::BadHost)),
            (Access::Guest, &[HOST], None, Some(Code::NotJson)),
            (Access::Guest, &[HOST, JSON], None, Some(Code::BadToken)),
            (Access::Guest, &[JSON, TOKEN], None, Some(Code::BadHost)),
            (Access::Guest, &all, password, None),
            (Access::Owner, &[HOST, TOKEN], None, Some(Code::NotJson)),
            (Access::Owner, &[HOST, JSON], None, Some(Code::BadToken)),
            (Access::Owner, &all, None, None),
            (Access::Owner, &all, password, Some(Code::LoginRequired)),
            (
                Access::Owner,
                &[HOST, JSON, TOKEN, ("Origin", "http://evil.example")],
                None,
                Some(Code::BadOrigin),
            ),
            (
                Access::Reader,
                &[HOST, ("Sec-Fetch-Site", "cross-site")],
                None,
                Some(Code::BadOrigin),
            ),
        ] {
            assert_eq!(
                refusal(access, headers, hash),
                code,
                "{access:?} {headers:?}"
            );
        }
    }
}
