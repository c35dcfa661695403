//! Your page at a pool: a page on the pool's web site that shows what one payout address has done.
//!
//! - Only pools whose address format is known have a link. DPMP never calls it; your browser does when you follow it.
//! - The link contains the address, so only someone who is logged in gets it. The status only names the site.

use rouille::Response;

use crate::config::PoolConfig;
use crate::units::PoolSlot;
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};

/// Pools by their domain, and the link before the payout address. Looked up on 2026-11-30 in the links that AxeOS, the
/// Bitaxe's software, shows for its pools.
const SITES: [(&str, &str); 15] = [
    ("solo.ckpool.org", "stats.ckpool.org/users/"),
    ("eusolo.ckpool.org", "stats.ckpool.org/users/"),
    ("ausolo.ckpool.org", "stats.ckpool.org/users/"),
    ("public-pool.io", "web.public-pool.io/#/app/"),
    ("ocean.xyz", "ocean.xyz/stats/"),
    ("parasite.wtf", "parasite.space/user/"),
    ("atlaspool.io", "atlaspool.io/dashboard.html?wallet="),
    ("solo.stratum.braiins.com", "solo.braiins.com/stats/"),
    ("solohash.co.uk", "solohash.co.uk/user/"),
    ("sololuck.io", "sololuck.io/users/"),
    ("nerdminer.de", "pool.nerdminer.de/#/app/"),
    ("solomining.de", "pool.solomining.de/#/app/"),
    ("satoshiradio.nl", "pool.satoshiradio.nl/user/"),
    (
        "pool.noderunners.network",
        "noderunners.network/en/pool/user/",
    ),
    ("yourdevice.ch", "blitzpool.yourdevice.ch/#/app/"),
];

/// `GET /api/v1/pools/{pool}/page`: leads to your page at the pool.
pub(in crate::web) fn go(pages: &Pages, call: &Call<'_>) -> Answer {
    let config = pages.context.live.get();
    let snapshot = pages.published.get();
    let slot = PoolSlot::ALL
        .into_iter()
        .find(|slot| call.part == slot.to_string());
    let pool = slot.and_then(|slot| {
        let pool = config.pools[slot].as_ref()?;
        Some(pool.at(snapshot.pools[slot].backup))
    });
    let page = pool.as_ref().and_then(page);
    let page =
        page.ok_or_else(|| ApiError::not_found("DPMP does not know your page at this pool."))?;
    Ok(Response::text("")
        .with_status_code(303)
        .with_unique_header("Cache-Control", "no-store")
        .with_unique_header("Location", format!("https://{page}")))
}

/// The web site that has the page.
pub(super) fn site(pool: &PoolConfig) -> Option<String> {
    let page = page(pool)?;
    page.split('/').next().map(str::to_owned)
}

/// The page without `https://`, if the pool is known and its user is the payout address.
fn page(pool: &PoolConfig) -> Option<String> {
    let is_of = |domain: &str| {
        let front = pool.host.strip_suffix(domain);
        front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    let (_, start) = SITES.into_iter().find(|(domain, _)| is_of(domain))?;
    let wallet = &pool.wallet;
    // An account name, or text with a special meaning in a link, is not an address.
    let is_plain = wallet.len() >= 20 && wallet.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let user = pool.user_name.of(wallet, "", "");
    (is_plain && user == *wallet).then(|| format!("{start}{wallet}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USUAL: &str = "{wallet}.{worker}";
    const WALLET: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

    fn pool(host: &str, wallet: &str, user_name: &str) -> PoolConfig {
        let pool = json!({"host": host, "wallet": wallet, "user_name": user_name});
        let config = crate::config::parse(&json!({"pools": {"A": pool}}).to_string()).unwrap();
        config.config.pools[PoolSlot::A].clone().unwrap()
    }

    #[test]
    fn a_known_pool_has_a_page_for_an_address() {
        for (host, expected) in [
            ("solo.ckpool.org", "stats.ckpool.org/users/"),
            ("EUSolo.CKPool.org.", "stats.ckpool.org/users/"),
            ("public-pool.io", "web.public-pool.io/#/app/"),
            ("mine.ocean.xyz", "ocean.xyz/stats/"),
        ] {
            let pool = pool(host, WALLET, USUAL);
            assert_eq!(page(&pool), Some(format!("{expected}{WALLET}")), "{host}");
        }
        let ocean = pool("mine.ocean.xyz", WALLET, USUAL);
        assert_eq!(site(&ocean).as_deref(), Some("ocean.xyz"));
    }

    #[test]
    fn an_unknown_pool_has_no_page() {
        for (host, wallet, user_name) in [
            ("pool.net", WALLET, USUAL),
            ("evilocean.xyz", WALLET, USUAL),
            ("ocean.xyz.evil.net", WALLET, USUAL),
            ("ocean.xyz", "me", USUAL),
            (
                "ocean.xyz",
                "bc1qar0srrr7xfkvy5l643lydnw9re59/../gtzzw",
                USUAL,
            ),
            (
                "ocean.xyz",
                "bc1qar0srrr7xfkvy5l643lydnw9re59?x=1#gtzzw",
                USUAL,
            ),
            ("ocean.xyz", WALLET, "{user}"),
            ("ocean.xyz", WALLET, "solo:{wallet}.{worker}"),
        ] {
            let pool = pool(host, wallet, user_name);
            assert_eq!(page(&pool), None, "{host} {wallet} {user_name}");
        }
    }
}
