//! HTTP: the server that all our ports share, and the metrics port.

pub mod metrics;
pub mod server;
