//! `#[contract_type]`: a record, or one of several variants.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, Generics, Ident, Item, ItemEnum, ItemStruct, Lit,
};

use crate::docs::derives;
use crate::event::no_generics;
use crate::mistakes::Mistakes;
use crate::schema::Json;

const DERIVES: &[&str] = &["Debug", "Clone", "PartialEq", "Eq"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    mistakes.no_arguments("contract_type", &args);
    match syn::parse2(item) {
        Ok(Item::Struct(item)) => {
            no_generics(&item.generics, "a type", &mut mistakes);
            let schema = record(&item, &mut mistakes);
            let derives = derives(&item.attrs, DERIVES, true);
            let errors = mistakes.shown();
            let named = schema_type(&item.ident, &schema);
            quote!(#errors #derives #item #named)
        }
        Ok(Item::Enum(item)) => {
            no_generics(&item.generics, "a type", &mut mistakes);
            let schema = variants(&item, &mut mistakes);
            match mistakes.shown() {
                Some(errors) => {
                    let stand_in = one_of(&without_numbers(item), &schema);
                    quote!(#errors #stand_in)
                }
                None => one_of(&item, &schema),
            }
        }
        Ok(other) => {
            mistakes.first(&other, "a type is a struct with named fields or an enum");
            let errors = mistakes.shown();
            quote!(#errors #other)
        }
        Err(error) => error.to_compile_error(),
    }
}

fn schema_type(ident: &Ident, schema: &TokenStream) -> TokenStream {
    quote! {
        impl ::chancery_contract::SchemaType for #ident {
            const NAME: ::chancery_contract::Text = #schema;
        }
    }
}

fn one_of(item: &ItemEnum, schema: &TokenStream) -> TokenStream {
    let derives = derives(&item.attrs, DERIVES, true);
    // Numbers stand next to fields only where Rust is told how wide they are.
    let numbered = item.variants.iter().any(|v| v.discriminant.is_some());
    let repr = numbered.then(|| quote!(#[repr(u8)]));
    let named = schema_type(&item.ident, schema);
    quote! {
        #derives
        #repr
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the codec refuses more variants than a byte counts"
        )]
        #item
        #named
    }
}

/// What the rest of the crate can be compiled with, so that only our own errors are shown.
fn without_numbers(mut item: ItemEnum) -> ItemEnum {
    let keep = |attribute: &Attribute| !is_codec(attribute);
    item.generics = Generics::default();
    for variant in &mut item.variants {
        variant.discriminant = None;
        variant.attrs.retain(keep);
        for field in &mut variant.fields {
            field.attrs.retain(keep);
        }
    }
    item
}

/// `{name: type, …}`
fn record(item: &ItemStruct, mistakes: &mut Mistakes) -> TokenStream {
    let mut json = Json::default();
    match &item.fields {
        Fields::Named(named) if !named.named.is_empty() => {
            fields(named.named.iter(), &mut json, mistakes);
        }
        _ => mistakes.at(
            &item.ident,
            "a type has fields with names, which stand in the schema: `{ until: Millis }`",
        ),
    }
    json.finish()
}

fn fields<'a>(fields: impl Iterator<Item = &'a Field>, json: &mut Json, mistakes: &mut Mistakes) {
    json.plain("{");
    for (
        index,
        Field {
            ident, ty, attrs, ..
        },
    ) in fields.enumerate()
    {
        plainly_encoded(attrs, mistakes);
        let name = ident.as_ref().map(|ident| ident.unraw().to_string());
        let name = name.unwrap_or_default();
        if name.contains(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')) {
            mistakes.at(
                ident,
                "the schema's fields are written in small letters, digits and `_`",
            );
        }
        if index > 0 {
            json.plain(", ");
        }
        json.plain(&name);
        json.plain(": ");
        json.type_name(ty);
    }
    json.plain("}");
}

/// `enum {0 name, 1 name {field: type, …}, …}`
fn variants(item: &ItemEnum, mistakes: &mut Mistakes) -> TokenStream {
    if item.variants.is_empty() {
        mistakes.at(
            &item.ident,
            "an enum without variants has no values: give it one, or remove it",
        );
    }
    let mut json = Json::default();
    json.plain("enum {");
    let numbers = numbers(item, mistakes);
    let mut names = BTreeSet::new();
    for (position, (variant, number)) in item.variants.iter().zip(numbers).enumerate() {
        plainly_encoded(&variant.attrs, mistakes);
        let name = variant_name(&variant.ident);
        if !name.is_ascii() {
            mistakes.at(
                &variant.ident,
                "the name of a variant is written in ASCII letters, digits and `_`",
            );
        }
        if !names.insert(name.clone()) {
            mistakes.at(
                &variant.ident,
                format!("another variant is called `{name}` in the schema too: rename one of them"),
            );
        }
        if position > 0 {
            json.plain(", ");
        }
        json.plain(&format!("{number} {name}"));
        match &variant.fields {
            Fields::Unit => {}
            Fields::Named(named) if !named.named.is_empty() => {
                json.plain(" ");
                fields(named.named.iter(), &mut json, mistakes);
            }
            other => mistakes.at(
                other,
                "a variant has nothing, or fields with names, which stand in the schema: \
                 `{ until: Millis }`",
            ),
        }
    }
    json.plain("}");
    json.finish()
}

/// The byte that stands for each variant: `= N`, or its position.
fn numbers(item: &ItemEnum, mistakes: &mut Mistakes) -> Vec<u8> {
    let explicit = item.variants.iter().any(|v| v.discriminant.is_some());
    let mut seen = BTreeSet::new();
    let mut numbers = Vec::new();
    for (position, variant) in item.variants.iter().enumerate() {
        let number = match &variant.discriminant {
            Some((_, value)) => match number_of(value) {
                Some(number) if seen.insert(number) => Ok(number),
                Some(number) => Err((
                    value.to_token_stream(),
                    format!("another variant has the number {number} already"),
                )),
                None => Err((
                    value.to_token_stream(),
                    "the number of a variant is a byte: write 0 to 255".to_owned(),
                )),
            },
            None if explicit => Err((
                variant.ident.to_token_stream(),
                "write `= N` behind each variant or behind none: what is stored already is read \
                 by these numbers"
                    .to_owned(),
            )),
            None => u8::try_from(position).map_err(|_| {
                let words = variant.ident.to_token_stream();
                (words, "an enum has at most 256 variants".to_owned())
            }),
        };
        numbers.push(number.unwrap_or_else(|(words, what_to_do)| {
            mistakes.at(&words, what_to_do);
            0
        }));
    }
    numbers
}

fn number_of(value: &Expr) -> Option<u8> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse().ok(),
        _ => None,
    }
}

/// `BreakGlass` is `break_glass` in the schema.
fn variant_name(ident: &Ident) -> String {
    let letters: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut name = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

pub(crate) fn is_codec(attribute: &Attribute) -> bool {
    attribute.path().is_ident("codec")
}

/// The schema describes plain SCALE; the codec's own attributes would make it a lie.
pub(crate) fn plainly_encoded(attributes: &[Attribute], mistakes: &mut Mistakes) {
    for attribute in attributes {
        if is_codec(attribute) {
            mistakes.at(
                attribute,
                "the schema says how values are encoded: remove `#[codec(…)]` (the number of a \
                 variant is written `= N`)",
            );
        }
    }
}
