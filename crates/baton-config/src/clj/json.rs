//! Values as JSON, by the rules of `clj->js` and `JSON.stringify`, and back.

use super::numbers;
use super::print;
use super::value::Value;
use serde_json::{Map, Number, Value as Json};

/// How deep data may nest: JSON readers everywhere stop soon after.
pub(super) const MAX_DEPTH: u32 = 100;

/// The JSON of a value: keywords and symbols by their name, sets and lists as arrays, functions left out of maps.
/// `None` where the value itself is a function. The caller has checked the depth.
pub(super) fn from_value(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Nil => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => match numbers::whole(*number) {
            Some(whole) => Json::from(whole),
            // JSON has no NaN and no infinity.
            None => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        },
        Value::Text(text) => Json::from(&**text),
        Value::Keyword(_) => Json::from(value.name().unwrap_or_default()),
        Value::Symbol(name) => Json::from(&**name),
        Value::List(items) | Value::Vector(items) => items.iter().map(member).collect(),
        Value::Set(group) => group.iter().map(member).collect(),
        Value::Map(dict) => {
            let entries = dict.iter().filter_map(|(key, value)| Some((key_text(key), from_value(value)?)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
        Value::Pattern(_) | Value::Module => Json::Object(Map::new()),
        Value::Function(_) => return None,
    })
}

/// A function in an array is `null`, as `JSON.stringify` has it.
fn member(value: &Value) -> Json {
    from_value(value).unwrap_or(Json::Null)
}

/// The property that `clj->js` makes of a key.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::Keyword(_) => key.name().unwrap_or_default().to_owned(),
        other => print::plain(other),
    }
}

/// The value of a JSON text, with texts as keys.
pub(super) fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) => Value::float(float),
            (None, None) => Value::Nil,
        },
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => Value::vector(items.iter().map(to_value).collect()),
        Json::Object(map) => {
            Value::map(map.iter().map(|(key, value)| (Value::text(key.as_str()), to_value(value))).collect())
        }
    }
}
