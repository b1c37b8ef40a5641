//! `#[contract_type]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Field, Fields, Item, ItemStruct};

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
            let (ident, derives) = (&item.ident, derives(&item.attrs, DERIVES, true));
            let errors = mistakes.shown();
            quote! {
                #errors
                #derives
                #item

                impl ::chancery_contract::SchemaType for #ident {
                    const NAME: ::chancery_contract::Text = #schema;
                }
            }
        }
        Ok(Item::Enum(item)) => {
            no_generics(&item.generics, "a type", &mut mistakes);
            let derives = derives(&item.attrs, DERIVES, true);
            let errors = mistakes.shown();
            quote! {
                #errors
                #derives
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "the codec refuses more variants than a byte counts"
                )]
                #item
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

/// `{name: type, …}`
fn record(item: &ItemStruct, mistakes: &mut Mistakes) -> TokenStream {
    let mut json = Json::default();
    let named = match &item.fields {
        Fields::Named(fields) if !fields.named.is_empty() => &fields.named,
        _ => {
            mistakes.at(
                &item.ident,
                "a type has fields with names, which stand in the schema: `{ until: Millis }`",
            );
            return json.finish();
        }
    };
    json.plain("{");
    for (index, Field { ident, ty, .. }) in named.iter().enumerate() {
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
    json.finish()
}
