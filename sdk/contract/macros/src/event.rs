//! `#[event]`.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::{Field, Fields, Generics, Item, ItemStruct};

use crate::docs::{derives, docs_of};
use crate::mistakes::Mistakes;
use crate::record::{is_codec, plainly_encoded};
use crate::schema::Json;

const DERIVES: &[&str] = &["Debug", "Clone", "PartialEq", "Eq"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    mistakes.no_arguments("event", &args);
    match syn::parse2(item) {
        Ok(Item::Struct(mut item)) => {
            let fields = event_fields(&item, &mut mistakes);
            no_generics(&item.generics, "an event", &mut mistakes);
            match mistakes.shown() {
                Some(errors) => {
                    for field in &mut item.fields {
                        field.attrs.retain(|attribute| !is_codec(attribute));
                    }
                    quote!(#errors #item)
                }
                None => event(&item, &fields),
            }
        }
        Ok(other) => {
            mistakes.first(&other, "an event is a struct with named fields");
            let errors = mistakes.shown();
            quote!(#errors #other)
        }
        Err(error) => error.to_compile_error(),
    }
}

/// Types of the ledger have one form only.
pub(crate) fn no_generics(generics: &Generics, what: &str, mistakes: &mut Mistakes) {
    if !generics.params.is_empty() {
        mistakes.at(
            &generics.params,
            format!("{what} has one form only: write concrete types"),
        );
    }
}

fn event_fields(item: &ItemStruct, mistakes: &mut Mistakes) -> Vec<Field> {
    for field in &item.fields {
        plainly_encoded(&field.attrs, mistakes);
    }
    match &item.fields {
        Fields::Named(fields) => fields.named.iter().cloned().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(fields) => {
            mistakes.at(
                fields,
                "the fields of an event have names, which stand in the schema: `{ who: AccountId }`",
            );
            Vec::new()
        }
    }
}

fn event(item: &ItemStruct, fields: &[Field]) -> TokenStream {
    let (ident, name) = (&item.ident, item.ident.unraw().to_string());
    let mut json = Json::default();
    json.plain("{\"name\":");
    json.string(&name);
    json.plain(",\"docs\":");
    json.string(&docs_of(&item.attrs));
    json.plain(",\"fields\":[");
    for field in fields {
        let name = field.ident.as_ref().map(|ident| ident.unraw().to_string());
        json.field(&name.unwrap_or_default(), &field.ty);
    }
    json.plain("]}");
    let (derives, schema) = (derives(&item.attrs, DERIVES, true), json.finish());
    let item = item.to_token_stream();
    quote! {
        #derives
        #item

        impl ::chancery_contract::Event for #ident {
            const TOPIC: &'static ::core::primitive::str = #name;
            const SCHEMA: ::chancery_contract::Text = #schema;
        }
    }
}
