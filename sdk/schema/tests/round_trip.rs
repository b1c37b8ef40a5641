//! Values of any type go from JSON to SCALE and come back as they were; and bytes that are one
//! encoding of a value are the one that its JSON has.

use chancery_ledger::{AccountId, SecretKey};
use chancery_schema::{Field, Plain, Type, Variant, decode_value, encode_json_args};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any type.
fn kinds() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::U8),
        Just(Type::U16),
        Just(Type::U32),
        Just(Type::U64),
        Just(Type::U128),
        Just(Type::String),
        Just(Type::Bytes),
        Just(Type::Hash),
        Just(Type::Account),
        Just(Type::Contract),
        Just(Type::Time),
        Just(Type::Duration),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let fields = prop::collection::vec(inner.clone(), 1..4).prop_map(|kinds| named("f", kinds));
        let variants = prop::collection::vec(prop::option::of(inner.clone()), 1..4);
        prop_oneof![
            // An option of an option shows the same for both kinds of nothing.
            inner.clone().prop_map(|kind| match kind {
                Type::Option(_) => kind,
                kind => Type::Option(Box::new(kind)),
            }),
            inner.prop_map(|kind| Type::List(Box::new(kind))),
            fields.prop_map(Type::Record),
            variants.prop_map(|variants| Type::Enum(numbered(variants))),
        ]
    })
}

fn named(prefix: &str, kinds: Vec<Type>) -> Vec<Field> {
    let named = kinds.into_iter().enumerate().map(|(number, kind)| Field {
        name: format!("{prefix}_{number}"),
        kind,
    });
    named.collect()
}

fn numbered(variants: Vec<Option<Type>>) -> Vec<Variant> {
    let numbered = (0_u8..).zip(variants).map(|(number, kind)| Variant {
        number: number * 3,
        name: format!("v_{number}"),
        fields: named("g", kind.into_iter().collect()),
    });
    numbered.collect()
}

/// A value of a type, in the JSON that it is shown as.
fn values(kind: &Type) -> BoxedStrategy<Value> {
    match kind {
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::U8 => any::<u8>().prop_map(Value::from).boxed(),
        Type::U16 => any::<u16>().prop_map(Value::from).boxed(),
        Type::U32 => any::<u32>().prop_map(Value::from).boxed(),
        Type::U64 | Type::Time | Type::Duration => any::<u64>().prop_map(Value::from).boxed(),
        Type::U128 => any::<u128>()
            .prop_map(|number| json!(number.to_string()))
            .boxed(),
        Type::String => prop_oneof![
            any::<String>(),
            prop::sample::select(vec!["", "none", "null", "@file", "[", "\"", "-a"])
                .prop_map(str::to_owned),
        ]
        .prop_map(Value::from)
        .boxed(),
        Type::Bytes => prop::sample::select(vec!["", "AA==", "AQI=", "+/8="])
            .prop_map(Value::from)
            .boxed(),
        Type::Hash | Type::Contract => any::<[u8; 32]>()
            .prop_map(|hash| json!(chancery_ledger::Hash(hash)))
            .boxed(),
        Type::Account => any::<u8>()
            .prop_map(|seed| json!(account(seed).to_string()))
            .boxed(),
        Type::Option(inner) => prop_oneof![Just(Value::Null), values(inner)].boxed(),
        Type::List(inner) => prop::collection::vec(values(inner), 0..4)
            .prop_map(Value::from)
            .boxed(),
        Type::Record(fields) => record(fields),
        Type::Enum(variants) => {
            let each = variants.iter().map(|variant| {
                let name = variant.name.clone();
                match variant.fields.as_slice() {
                    [] => Just(json!(name)).boxed(),
                    fields => record(fields)
                        .prop_map(move |fields| json!({ name.as_str(): fields }))
                        .boxed(),
                }
            });
            prop::strategy::Union::new(each).boxed()
        }
    }
}

fn record(fields: &[Field]) -> BoxedStrategy<Value> {
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let each: Vec<_> = fields.iter().map(|field| values(&field.kind)).collect();
    each.prop_map(move |values| {
        let object: Map<String, Value> = names.iter().cloned().zip(values).collect();
        Value::Object(object)
    })
    .boxed()
}

fn account(seed: u8) -> AccountId {
    SecretKey::from_seed(&[seed; 32]).account()
}

fn arguments() -> impl Strategy<Value = (Vec<Field>, Value)> {
    prop::collection::vec(kinds(), 1..4).prop_flat_map(|kinds| {
        let fields = named("arg", kinds);
        (Just(fields.clone()), record(&fields))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_given_as_json_is_shown_as_that_json((fields, args) in arguments()) {
        let bytes = encode_json_args(&fields, &args, &Plain);
        let bytes = bytes.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let kind = Type::Record(fields.clone());
        prop_assert_eq!(decode_value(&kind, &bytes), Ok(args.clone()));
        let in_order: Vec<Value> = fields.iter().map(|field| args[&field.name].clone()).collect();
        prop_assert_eq!(encode_json_args(&fields, &json!(in_order), &Plain), Ok(bytes));
    }

    #[test]
    fn a_type_is_the_one_that_its_text_says(kind in kinds()) {
        prop_assert_eq!(kind.to_string().parse(), Ok(kind));
    }

    #[test]
    fn bytes_of_any_kind_are_shown_or_refused(
        kind in kinds(),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        if let Ok(shown) = decode_value(&kind, &bytes) {
            let fields = named("arg", vec![kind]);
            prop_assert_eq!(encode_json_args(&fields, &json!([shown]), &Plain), Ok(bytes));
        }
    }
}
