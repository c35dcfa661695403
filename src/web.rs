//! Everything served over HTTP: the metrics port, and the port of the pages with the API.

pub mod api;
pub mod attempts;
mod body;
mod documents;
pub mod error;
mod files;
pub mod guard;
pub mod gui;
mod html;
pub mod json;
pub mod limit;
pub mod login;
pub mod metrics;
pub mod pages;
mod plain;
pub mod tokens;
