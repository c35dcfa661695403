//! The metrics port: metrics for Prometheus, and whether DPMP can serve miners, for programs that restart containers.

use std::sync::Arc;

use rouille::{Request, Response};

use crate::core::outage::Health;
use crate::core::snapshot::Snapshot;
use crate::observe::latest::LatestSnapshot;
use crate::observe::metrics::{CONTENT_TYPE, Metrics};
use crate::shell::running::HEADER;
use crate::web::error::{ApiError, Code};

/// The answer at `/`.
const INDEX: &str =
    "DPMP: /metrics for Prometheus, /healthz for programs that restart containers\n";

/// The handler for [`serve`](crate::http::serve).
pub fn handler(
    metrics: Arc<Metrics>,
    published: Arc<LatestSnapshot>,
    instance: Arc<str>,
) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    move |request| {
        if !matches!(request.method(), "GET" | "HEAD") {
            let refused = ApiError::new(
                Code::MethodNotAllowed,
                "This port only answers GET requests.",
            );
            return refused
                .response_to(request)
                .with_additional_header("Allow", "GET, HEAD");
        }
        match request.url().as_str() {
            "/metrics" => figures(&metrics, &published.get()),
            "/healthz" => healthz(&published.get(), &instance),
            "/" => Response::text(INDEX),
            _ => ApiError::not_found("This port only has /metrics and /healthz.")
                .response_to(request),
        }
    }
}

fn figures(metrics: &Metrics, snapshot: &Snapshot) -> Response {
    match metrics.render(snapshot) {
        Ok(text) => Response::from_data(CONTENT_TYPE, text),
        Err(error) => {
            Response::text(format!("failed to write the metrics: {error}\n")).with_status_code(500)
        }
    }
}

/// The answer to `/healthz`, with this instance's number.
pub(super) fn healthz(snapshot: &Snapshot, instance: &str) -> Response {
    let answer = match health(snapshot) {
        Ok(()) => Response::text("ok\n"),
        Err(problem) => Response::text(format!("{problem}\n")).with_status_code(503),
    };
    answer.with_unique_header(HEADER, instance.to_owned())
}

/// Whether miners can be served. Untested pools, as after a start without miners, count as usable.
///
/// # Errors
/// The reason, in a sentence.
pub fn health(snapshot: &Snapshot) -> Result<(), &'static str> {
    let in_use = || snapshot.pools.iter().filter(|(_, pool)| pool.in_use);
    if snapshot.unix_ms == 0 {
        Err("the proxy is starting")
    } else if snapshot.stopping {
        Err("the proxy is stopping and accepts no more miners")
    } else if !snapshot.set_up {
        Err("the pools are not set up yet: see pools.A and pools.B in the configuration")
    } else if in_use().all(|(_, pool)| pool.health == Health::Down) {
        Err("no pool with a weight above 0 can be used")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::{any_port, ask, refusal};
    use crate::http::{Seats, serve};
    use crate::units::PoolSlot;

    fn ready() -> Snapshot {
        let mut snapshot = Snapshot {
            unix_ms: 1,
            set_up: true,
            ..Snapshot::default()
        };
        for pool in snapshot.pools.values_mut() {
            pool.in_use = true;
            pool.health = Health::Unknown;
        }
        snapshot
    }

    #[test]
    fn health_says_whether_miners_can_be_served() {
        let with = |change: fn(&mut Snapshot)| {
            let mut snapshot = ready();
            change(&mut snapshot);
            health(&snapshot).is_ok()
        };
        assert!(with(|_| ()));
        assert!(with(|s| s.pools[PoolSlot::A].health = Health::Down));
        assert!(!with(|s| s
            .pools
            .values_mut()
            .for_each(|pool| pool.health = Health::Down)));
        assert!(!with(|s| {
            s.pools[PoolSlot::A].health = Health::Down;
            s.pools[PoolSlot::B].in_use = false;
        }));
        assert!(!with(|s| s.set_up = false));
        assert!(!with(|s| s.stopping = true));
        assert!(!with(|s| s.unix_ms = 0));
    }

    #[test]
    fn the_metrics_port_answers_over_http() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let published = Arc::new(LatestSnapshot::default());
        let server = serve(
            "metrics",
            any_port(),
            Seats::default(),
            refusal,
            handler(metrics, Arc::clone(&published), "7".into()),
        )
        .unwrap();
        let get = |path: &str| ask(server.addr(), &format!("GET {path}"));
        let figures = get("/metrics");
        assert!(figures.starts_with("HTTP/1.1 200"), "{figures}");
        assert!(
            figures.contains("Content-Type: text/plain; version=0.0.4"),
            "{figures}"
        );
        assert!(
            figures.contains("dpmp_downstream_connections 0"),
            "{figures}"
        );
        assert!(get("/healthz").starts_with("HTTP/1.1 503"));
        assert!(get("/healthz").contains("X-DPMP-Instance: 7\r\n"));
        published.set(ready());
        assert!(get("/healthz").starts_with("HTTP/1.1 200"));
        assert!(get("/").contains("/metrics"));
        assert!(get("/else").starts_with("HTTP/1.1 404"));
        assert!(ask(server.addr(), "POST /metrics").starts_with("HTTP/1.1 405"));
        assert!(ask(server.addr(), "HEAD /healthz").starts_with("HTTP/1.1 200"));
        server.stop();
    }
}
