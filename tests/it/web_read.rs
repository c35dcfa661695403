//! What the pages' port tells, over HTTP: status, miners, history, the files of the pages.

use crate::support::http::Http;
use crate::support::proxy::Setup;

#[test]
fn what_is_not_there_is_an_error_in_the_form_of_the_api() {
    let proxy = Setup::bare().start();
    let http = Http::new(proxy.pages_address());
    let answer = http.get("/api/v1/nothing");
    assert_eq!(
        (answer.status, answer.error_code()),
        (404, "not_found".into())
    );
    let answer = http.send("DELETE", "/api/v1/config", &[], b"");
    assert_eq!(
        (answer.status, answer.error_code()),
        (405, "method_not_allowed".into())
    );
    assert_eq!(answer.header("allow"), Some("GET, PUT, HEAD"));
}
