use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError, short_type_name};

/// JSON through serde: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        serde_json::to_writer(out, value).map_err(expected::<T>)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        // Bytes that are UTF-8 as a whole need not be looked at again text by text.
        let decoded = match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(bytes),
        };
        decoded.map_err(|error| expected::<T>(error).with_input(bytes))
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| expected::<T>(error).with_input(bytes))
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let value: T = serde_json::from_value(json).map_err(expected::<T>)?;
        self.encode(&value, out)
    }
}

fn expected<T>(error: serde_json::Error) -> CodecError {
    CodecError::new(format!("a {} in JSON", short_type_name::<T>()), error)
}

#[cfg(test)]
mod tests {
    use super::{Codec, Json};

    #[test]
    fn a_field_that_is_not_asked_for_may_be_anything() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Named {
            name: String,
        }
        let decode = |bytes: &[u8]| <Json as Codec<Named>>::decode(&Json, bytes);
        assert_eq!(decode(b"{\"name\":\"ada\",\"photo\":\"\xff\"}").unwrap().name, "ada");
        assert!(decode(b"{\"name\":\"\xff\"}").is_err());
    }
}
