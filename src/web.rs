//! HTTP: the server that all our ports share, the metrics port, and the web pages with their API.

pub mod api;
pub mod error;
mod files;
pub mod gui;
pub mod json;
pub mod metrics;
pub mod server;
