//! stub
use crate::observe::metrics::Metrics;
use crate::observe::published::Published;
use crate::web::server::{ServerHandle, serve as http};
use std::net::SocketAddr;
use std::sync::Arc;
/// stub
pub fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    published: Arc<Published>,
) -> anyhow::Result<ServerHandle> {
    http("metrics", address, move |request| {
        match request.url().as_str() {
            "/metrics" => {
                rouille::Response::text(metrics.render(&published.get()).unwrap_or_default())
            }
            _ => rouille::Response::text("ok"),
        }
    })
}
