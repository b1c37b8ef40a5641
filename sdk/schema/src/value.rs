//! From SCALE bytes to JSON, by the schema's type.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::{AccountId, ContractId, Hash};
use parity_scale_codec::{Compact, Decode, Input};
use serde_json::{Map, Value, json};

use super::{Field, Type};

/// Elements of lists and records that one value may show, so that few bytes (a list of empty
/// records, say) cannot claim much memory.
const ITEMS_MAX: usize = 100_000;
/// Bytes of all names and texts that one value may show. Names come from the schema, which may be
/// lying about what the bytes are: one name of many kilobytes would stand at every element of a list.
const TEXT_BYTES_MAX: usize = 8_388_608;

/// Why bytes are no value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// They end early, or break the type's rules.
    #[error("the bytes are not an encoding of {kind}")]
    Malformed {
        /// The type, or that of the part.
        kind: Type,
    },
    /// A value, followed by more bytes.
    #[error("{left} bytes are left over after the value")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// More elements than are shown.
    #[error("the value has more than {items_max} elements")]
    TooManyItems {
        /// The limit.
        items_max: usize,
    },
    /// More text than is shown.
    #[error("the names and texts of the value have more than {bytes_max} bytes")]
    TooMuchText {
        /// The limit.
        bytes_max: usize,
    },
}

/// The JSON of a value: numbers as numbers (u128 as a string), hashes as hexadecimal digits,
/// accounts as DIDs, times as milliseconds, bytes as base64, `option` as the value or `null`, a
/// variant as its name or, with fields, as an object of one: `{"given": {"until": 5}}`.
///
/// # Errors
/// If `bytes` are not exactly one encoding of a `kind`, or the value is too large to be shown.
pub fn decode_value(kind: &Type, bytes: &[u8]) -> Result<Value, ValueError> {
    let mut rest = bytes;
    let value = decode(kind, &mut rest, &mut Room::default())?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(ValueError::TrailingBytes { left: rest.len() })
    }
}

/// What a value shows already.
#[derive(Debug, Default)]
struct Room {
    items: usize,
    text_bytes: usize,
}

impl Room {
    fn item(&mut self) -> Result<(), ValueError> {
        self.items += 1;
        if self.items > ITEMS_MAX {
            let items_max = ITEMS_MAX;
            return Err(ValueError::TooManyItems { items_max });
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<String, ValueError> {
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        if self.text_bytes > TEXT_BYTES_MAX {
            let bytes_max = TEXT_BYTES_MAX;
            return Err(ValueError::TooMuchText { bytes_max });
        }
        Ok(text.to_owned())
    }
}

fn decode(kind: &Type, rest: &mut &[u8], room: &mut Room) -> Result<Value, ValueError> {
    let malformed = || ValueError::Malformed { kind: kind.clone() };
    fn read<T: Decode>(rest: &mut &[u8], kind: &Type) -> Result<T, ValueError> {
        T::decode(rest).map_err(|_| ValueError::Malformed { kind: kind.clone() })
    }
    room.item()?;
    Ok(match kind {
        Type::Bool => json!(read::<bool>(rest, kind)?),
        Type::U8 => json!(read::<u8>(rest, kind)?),
        Type::U16 => json!(read::<u16>(rest, kind)?),
        Type::U32 => json!(read::<u32>(rest, kind)?),
        Type::U64 | Type::Time | Type::Duration => json!(read::<u64>(rest, kind)?),
        Type::U128 => json!(read::<u128>(rest, kind)?.to_string()),
        Type::String => json!(room.text(&read::<String>(rest, kind)?)?),
        Type::Bytes => json!(room.text(&BASE64.encode(read::<Vec<u8>>(rest, kind)?))?),
        Type::Hash => json!(room.text(&read::<Hash>(rest, kind)?.to_string())?),
        Type::Contract => json!(room.text(&read::<ContractId>(rest, kind)?.to_string())?),
        Type::Account => json!(room.text(&read::<AccountId>(rest, kind)?.to_string())?),
        Type::Option(inner) => match rest.read_byte().map_err(|_| malformed())? {
            0 => Value::Null,
            1 => decode(inner, rest, room)?,
            _ => return Err(malformed()),
        },
        Type::List(inner) => {
            let Compact(count) = read::<Compact<u32>>(rest, kind)?;
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(decode(inner, rest, room)?);
            }
            Value::Array(values)
        }
        Type::Record(fields) => decode_fields(fields, rest, room)?,
        Type::Enum(variants) => {
            let number = rest.read_byte().map_err(|_| malformed())?;
            let variant = variants.iter().find(|variant| variant.number == number);
            let variant = variant.ok_or_else(malformed)?;
            let name = room.text(&variant.name)?;
            if variant.fields.is_empty() {
                Value::String(name)
            } else {
                json!({ name: decode_fields(&variant.fields, rest, room)? })
            }
        }
    })
}

fn decode_fields(fields: &[Field], rest: &mut &[u8], room: &mut Room) -> Result<Value, ValueError> {
    let mut object = Map::new();
    for field in fields {
        let name = room.text(&field.name)?;
        object.insert(name, decode(&field.kind, rest, room)?);
    }
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::Encode as _;

    use super::*;

    fn check(kind: &str, bytes: &[u8], expected: Option<Value>) {
        let kind: Type = kind.parse().expect("a type");
        assert_eq!(decode_value(&kind, bytes).ok(), expected, "{kind}");
    }

    #[test]
    fn each_type_has_its_json() {
        let account = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let bytes = account.parse::<AccountId>().expect("a DID").encode();
        check("bool", &[1], Some(json!(true)));
        check("bool", &[2], None);
        check("u8", &[7], Some(json!(7)));
        check("u64", &u64::MAX.encode(), Some(json!(u64::MAX)));
        check("u128", &7_u128.encode(), Some(json!("7")));
        check("string", &"a".encode(), Some(json!("a")));
        check("string", &[4, 0xff], None);
        check("bytes", &[4, 1], Some(json!("AQ==")));
        check("hash", &[0xab; 32], Some(json!("ab".repeat(32))));
        check("account", &bytes, Some(json!(account)));
        check("time", &9_u64.encode(), Some(json!(9)));
        check("duration", &9_u64.encode(), Some(json!(9)));
        check("contract", &[0xab; 32], Some(json!("ab".repeat(32))));
        check("option<u8>", &[0], Some(Value::Null));
        check("option<u8>", &[1, 2], Some(json!(2)));
        check("option<u8>", &[2, 2], None);
        check("list<u8>", &[8, 1, 2], Some(json!([1, 2])));
        check("list<u8>", &[8, 1], None);
        check(
            "{a: u8, b: bool}",
            &[1, 0],
            Some(json!({"a": 1, "b": false})),
        );
        let state = "enum {0 asked, 7 given {until: u8, for: option<u8>}}";
        check(state, &[0], Some(json!("asked")));
        let given = json!({"given": {"until": 5, "for": null}});
        check(state, &[7, 5, 0], Some(given));
        for bytes in [&[][..], &[1], &[7], &[7, 5], &[0, 0], &[7, 5, 0, 0]] {
            check(state, bytes, None);
        }
        check("u8", &[1, 2], None);
        check("list<u64>", &[0xfe, 0xff, 0xff, 0xff], None);
    }
    #[test]
    fn a_schema_that_lies_takes_no_memory() {
        let name = "a".repeat(65_000);
        let list = |of: &str, count: usize, each: &[u8]| {
            let kind: Type = format!("list<{of}>").parse().expect("a type");
            let count = Compact(u32::try_from(count).expect("fits")).encode();
            decode_value(&kind, &[count, each.repeat(65_000)].concat())
        };
        let bytes_max = TEXT_BYTES_MAX;
        let too_much = Err(ValueError::TooMuchText { bytes_max });
        assert_eq!(list(&format!("{{{name}: bool}}"), 65_000, &[1]), too_much);
        assert_eq!(list(&format!("enum {{1 {name}}}"), 65_000, &[1]), too_much);
        let given = format!("enum {{1 {name} {{a: bool}}}}");
        assert_eq!(list(&given, 65_000, &[1, 1]), too_much);
        let shown = list("{ok: bool}", 40_000, &[1]);
        assert_eq!(shown, Err(ValueError::TrailingBytes { left: 25_000 }));
        let items_max = ITEMS_MAX;
        let bools = list("{a: bool, b: bool}", 65_000, &[1, 1]);
        assert_eq!(bools, Err(ValueError::TooManyItems { items_max }));
    }
}
