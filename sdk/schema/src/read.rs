//! A schema as a node hands it out: bounded, and not always there.

use serde_json::Value;

use super::Schema;

/// The longest schema section that any chain may allow, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 65_536;
/// The longest schema that is taken from a node, in bytes of JSON. A section of the longest length
/// may come out twice as long: what it left out is written out, with spaces.
pub const SCHEMA_JSON_BYTES_MAX: usize = 2 * SCHEMA_BYTES_MAX;

/// What is wrong with a contract whose schema cannot be had. The words go on after its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadSchemaError {
    /// It has none.
    #[error("does not say what its methods take")]
    Missing,
    /// It has one that no chain would have taken.
    #[error("has a schema of {bytes} bytes, more than the {bytes_max} that one can have")]
    TooLong {
        /// How long it is, as JSON.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It has something else.
    #[error("has a schema that is not understood here: {reason}")]
    NotUnderstood {
        /// Why not, shortened.
        reason: String,
    },
}

/// Reads what a node gives as the schema of a contract.
///
/// # Errors
/// If there is none, or it is not one.
pub fn read_schema(json: Option<Value>) -> Result<Schema, ReadSchemaError> {
    let json = json.ok_or(ReadSchemaError::Missing)?;
    let bytes = json.to_string().len();
    if bytes > SCHEMA_JSON_BYTES_MAX {
        let bytes_max = SCHEMA_JSON_BYTES_MAX;
        return Err(ReadSchemaError::TooLong { bytes, bytes_max });
    }
    serde_json::from_value(json).map_err(|error| ReadSchemaError::NotUnderstood {
        reason: error.to_string().chars().take(200).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_schema_that_a_chain_may_have_is_read() {
        let of = |docs: usize| {
            let docs = "d".repeat(docs);
            read_schema(Some(json!({"name": "x", "docs": docs, "methods": []})))
        };
        assert!(of(SCHEMA_BYTES_MAX).is_ok());
        let error = of(SCHEMA_JSON_BYTES_MAX).expect_err("too long");
        assert!(
            error.to_string().contains("more than the 131072"),
            "{error}"
        );
        assert_eq!(read_schema(None), Err(ReadSchemaError::Missing));
        for json in [Value::Null, json!({}), json!({"name": "x", "methods": 1})] {
            let error = read_schema(Some(json)).expect_err("no schema");
            assert!(
                matches!(error, ReadSchemaError::NotUnderstood { .. }),
                "{error}"
            );
        }
    }
}
