//! `blocks`: the archive of block candidates.

use rouille::Response;
use serde_json::{Value, json};

use crate::coin::Chain;
use crate::shell::blocks;
use crate::web::error::{Answer, ApiError};
use crate::web::json;
use crate::web::pages::{Call, Pages};

/// The fields in the list; the rest is in the file.
const SHOWN: [&str; 11] = [
    "hash",
    "found_ms",
    "height",
    "difficulty",
    "pool",
    "pool_name",
    "chain",
    "address",
    "worker",
    "answer",
    "answered_ms",
];

/// `GET /api/v1/blocks`
pub(in crate::web) fn list(pages: &Pages, _: &Call<'_>) -> Answer {
    let folder = blocks::folder(pages.settings.path());
    let found = blocks::list(&folder).map_err(|error| ApiError::failed(&error.into()))?;
    let blocks: Vec<_> = found
        .iter()
        .map(|(name, block)| shown(name, block))
        .collect();
    Ok(json::respond(&json!({ "blocks": blocks })))
}

/// Files of older versions lack some fields.
fn shown(name: &str, block: &Value) -> Value {
    let fields = SHOWN.map(|field| (field.to_owned(), block[field].clone()));
    let mut shown = Value::Object(fields.into_iter().collect());
    shown["name"] = json!(name);
    shown["explorer"] = json!(explorer(block));
    shown
}

/// Where to look up the block.
fn explorer(block: &Value) -> Option<String> {
    let (chain, hash) = (block["chain"].as_str()?, block["hash"].as_str()?);
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    Chain::of_name(chain)?.block_page(hash).filter(|_| is_hash)
}

/// `GET /api/v1/blocks/{name}`
pub(in crate::web) fn download(pages: &Pages, call: &Call<'_>) -> Answer {
    let folder = blocks::folder(pages.settings.path());
    let found =
        blocks::read(&folder, call.part).map_err(|error| ApiError::failed(&error.into()))?;
    let file = found.ok_or_else(|| ApiError::not_found("There is no file for this block."))?;
    Ok(Response::from_data("application/json", file)
        .with_unique_header("Cache-Control", "no-store")
        .with_unique_header(
            "Content-Disposition",
            format!("attachment; filename=\"dpmp-block-{}\"", call.part),
        ))
}
