use super::{Codec, CodecError};

/// Text as its UTF-8 bytes, without JSON's quotes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text;

impl Codec<String> for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(CodecError::new("UTF-8 text", error).with_input(bytes)),
        }
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        self.decode(bytes).map(serde_json::Value::String)
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match json {
            serde_json::Value::String(text) => self.encode(&text, out),
            other => Err(CodecError::new("text", format!("got {other}"))),
        }
    }
}

/// Bytes as they are. On the web they stand as a JSON array of numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes;

impl Codec<Vec<u8>> for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }

    fn to_json(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        Ok(serde_json::Value::from(bytes.to_vec()))
    }

    fn encode_json(&self, json: serde_json::Value, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let bytes: Vec<u8> =
            serde_json::from_value(json).map_err(|error| CodecError::new("an array of bytes", error))?;
        out.extend_from_slice(&bytes);
        Ok(())
    }
}
