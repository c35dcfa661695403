//! API answers have the shape that their description promises, and contain nothing that is not described.

use serde_json::{Map, Value, json};

use crate::support::http::{Answer, Http};
use crate::support::proxy::Setup;
use crate::support::{SOON, miner, pool, wait_until};

/// The API description, with as much of JSON Schema as it uses.
struct Description(Value);

impl Description {
    /// Checks the answer to a request; the route is given as in the description.
    #[track_caller]
    fn check(&self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        let responses = &operation["responses"];
        let response = match answer.status {
            200 => &responses["200"],
            _ => &responses["default"],
        };
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}: no shape");
        self.check_value(&format!("{method} {path}"), schema, &answer.json());
    }

    #[track_caller]
    fn check_value(&self, place: &str, schema: &Value, value: &Value) {
        if let Err(problem) = self.fits(place, schema, value) {
            panic!("{problem}");
        }
    }

    fn fits(&self, place: &str, schema: &Value, value: &Value) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            return self.fits(place, self.0.pointer(pointer).unwrap(), value);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = |choice: &&Value| self.fits(place, choice, value).is_ok();
            return match choices.iter().filter(fits).count() {
                1 => Ok(()),
                count => Err(format!("{place}: {count} of the choices fit {value}")),
            };
        }
        let types = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().map(|it| it.as_str().unwrap()).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|it| is_of_type(it, value)) {
            return Err(format!("{place}: {value} is not {types:?}"));
        }
        if let Some(choices) = schema["enum"].as_array() {
            if !choices.contains(value) {
                return Err(format!("{place}: {value} is not one of {choices:?}"));
            }
        }
        match value {
            Value::Object(object) => self.object_fits(place, schema, object),
            Value::Array(items) if schema["items"].is_object() => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| {
                    self.fits(&format!("{place}[{index}]"), &schema["items"], item)
                })
            }
            _ => Ok(()),
        }
    }

    fn object_fits(
        &self,
        place: &str,
        schema: &Value,
        object: &Map<String, Value>,
    ) -> Result<(), String> {
        let required = schema["required"].as_array().into_iter().flatten();
        for key in required.map(|key| key.as_str().unwrap()) {
            if !object.contains_key(key) {
                return Err(format!("{place}: {key} is missing"));
            }
        }
        let others = &schema["additionalProperties"];
        for (key, value) in object {
            let place = format!("{place}.{key}");
            let described = &schema["properties"][key];
            if described.is_object() {
                self.fits(&place, described, value)?;
            } else if others.is_object() {
                self.fits(&place, others, value)?;
            } else if schema["properties"].is_object() {
                return Err(format!("{place} is not described"));
            }
        }
        Ok(())
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other}"),
    }
}

/// What has to be saved so that the fleet as a whole follows the split.
fn in_mode_fleet(page: &Http) -> Value {
    let mut config = page.get("/api/v1/config").json();
    config["config"]["scheduler"]["mode"] = json!("fleet");
    json!({"etag": config["etag"], "config": config["config"]})
}

#[test]
fn answers_match_the_api_description() {
    let (a, b) = (pool("A", |_| ()), pool("B", |_| ()));
    let proxy = Setup::new(&a, &b).start();
    let page = Http::new(proxy.pages_address()).with_token();
    let description = Description(page.get("/api/v1/openapi.json").json());
    let rig = miner(proxy.address(), |options| options.user = "x.rig".into());
    let shares = || {
        let miners = page.get("/api/v1/miners").json();
        miners["miners"][0]["accepted"]["A"].as_u64() > Some(0)
    };
    wait_until(SOON, "a share", shares);

    let get = |route: &str, path: &str| description.check("GET", route, &page.get(path));
    let put = |route: &str, body: Value| {
        let answer = page.put(route, &body);
        description.check("PUT", route, &answer);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let post =
        |route: &str, body: Value| description.check("POST", route, &page.post(route, &body));
    put("/api/v1/weights", json!({"A": 70, "B": 30}));
    put(
        "/api/v1/workers",
        json!({"workers": {"rig": {"work": {"A": 1, "B": 2}, "failover": false}}}),
    );
    put("/api/v1/prices", json!({"BTC": 1}));
    for workers in [json!(["*"]), json!(["rig"])] {
        let change = json!({"work": "B", "workers": workers, "for_seconds": 600});
        put("/api/v1/override", change);
    }
    put("/api/v1/config", in_mode_fleet(&page));
    let steering = page.get("/api/v1/steering").json();
    assert_eq!(steering["workers"].as_array().unwrap().len(), 1);
    assert_eq!(steering["overrides"].as_array().unwrap().len(), 2);
    assert_eq!(steering["undo"].as_array().unwrap().len(), 1);
    let config = page.get("/api/v1/config").json();
    let id = page.get("/api/v1/miners").json()["miners"][0]["id"].clone();
    for path in [
        "session", "status", "miners", "history", "config", "events", "steering", "blocks",
        "ledger", "records", "notify", "logs",
    ] {
        let path = format!("/api/v1/{path}");
        get(&path, &path);
    }
    get("/api/v1/miners/{id}", &format!("/api/v1/miners/{id}"));
    get("/widgets/stats", "/widgets/stats");
    post("/api/v1/steering/preview", json!({}));
    post(
        "/api/v1/config/validate",
        json!({"config": config["config"]}),
    );
    post(
        "/api/v1/config/validate",
        json!({"config": {"listen": {"port": 0}}}),
    );
    put(
        "/api/v1/config",
        json!({"etag": config["etag"], "config": config["config"]}),
    );
    let slot = json!({"slot": "A", "host": "127.0.0.1", "port": a.port(), "wallet": "w"});
    post("/api/v1/pool-test", slot);
    let target = json!({"kind": "heartbeat", "url": format!("http://{}/", a.address())});
    post(
        "/api/v1/notify/test",
        json!({"name": "x", "target": target}),
    );
    let end = page.delete("/api/v1/override", &json!({"workers": ["rig"]}));
    description.check("DELETE", "/api/v1/override", &end);
    // Errors have the same form everywhere, too.
    let end = page.delete("/api/v1/override", &json!({"workers": ["rig"]}));
    assert_eq!(end.status, 404);
    description.check("DELETE", "/api/v1/override", &end);
    post(
        "/api/v1/steering/preview",
        json!({"timetable": {"time_zone": 5}}),
    );
    drop(rig);
}

/// A check that never finds anything would be useless.
#[test]
fn mismatches_with_the_description_are_found() {
    let description = Description(json!({"s": {"type": ["string", "null"]}}));
    let shape = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/s"}, "b": {"type": "array", "items": {"oneOf": [{"type": "integer"}, {"type": "null"}]}},
            "c": {"enum": ["x"]}},
        "required": ["a"],
    });
    let fits = |value: Value| description.fits("", &shape, &value).is_ok();
    assert!(fits(json!({"a": null, "b": [1, null], "c": "x"})));
    for wrong in [
        json!({}),
        json!([]),
        json!({"a": 5}),
        json!({"a": "", "b": [1.5]}),
        json!({"a": "", "c": "y"}),
        json!({"a": "", "d": 1}),
    ] {
        assert!(!fits(wrong.clone()), "{wrong}");
    }
}
