//! The API under `/api/v1`, as `docs/api.md` describes it: a file for each group of routes.
