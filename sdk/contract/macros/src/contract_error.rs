//! `#[contract_error]`.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Expr, ExprLit, Fields, Generics, Item, ItemEnum, Lit, Variant};

use crate::docs::{derives, docs_of};
use crate::event::no_generics;
use crate::mistakes::Mistakes;
use crate::schema::Json;

const DERIVES: &[&str] = &["Debug", "Clone", "Copy", "PartialEq", "Eq"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    mistakes.no_arguments("contract_error", &args);
    match syn::parse2(item) {
        Ok(Item::Enum(item)) => {
            no_generics(&item.generics, "the error of a contract", &mut mistakes);
            let codes = codes(&item, &mut mistakes);
            match mistakes.shown() {
                Some(errors) => {
                    let stand_in = contract_error(&without_values(item), &[], &quote!(0));
                    quote!(#errors #stand_in)
                }
                None => contract_error(&item, &codes, &quote!(*self as ::core::primitive::u32)),
            }
        }
        Ok(other) => {
            mistakes.first(
                &other,
                "`#[contract_error]` stands above an enum, of which each variant is a reason to refuse",
            );
            let errors = mistakes.shown();
            quote!(#errors #other)
        }
        Err(error) => error.to_compile_error(),
    }
}

/// The code of each variant, in order.
fn codes(item: &ItemEnum, mistakes: &mut Mistakes) -> Vec<u32> {
    if item.variants.is_empty() {
        mistakes.at(
            &item.ident,
            "an enum without variants refuses nothing: remove it, and return no `Result`",
        );
    }
    let largest = item.variants.iter().filter_map(code_of).max();
    // What is proposed is free, each time.
    let mut free = largest.unwrap_or(0);
    let mut propose = || {
        free = free.saturating_add(1);
        free
    };
    let mut seen = BTreeMap::new();
    let mut codes = Vec::new();
    for variant in &item.variants {
        let name = &variant.ident;
        if !matches!(variant.fields, Fields::Unit) {
            mistakes.at(
                &variant.fields,
                "a refusal is its code and carries nothing else: remove the fields",
            );
        }
        let Some((_, value)) = &variant.discriminant else {
            let code = propose();
            mistakes.at(
                name,
                format!("each refusal has its code, which never changes: write `{name} = {code}`"),
            );
            continue;
        };
        let Some(code) = code_of(variant).filter(|code| *code > 0) else {
            mistakes.at(
                value,
                format!(
                    "a code is a number from 1 to {}: write `{}`",
                    u32::MAX,
                    propose()
                ),
            );
            continue;
        };
        if let Some(other) = seen.insert(code, name) {
            mistakes.at(
                value,
                format!(
                    "`{other}` has the code {code} already: write `{}`",
                    propose()
                ),
            );
        }
        codes.push(code);
    }
    codes
}

fn code_of(variant: &Variant) -> Option<u32> {
    match &variant.discriminant {
        Some((
            _,
            Expr::Lit(ExprLit {
                lit: Lit::Int(code),
                ..
            }),
        )) => code.base10_parse().ok(),
        _ => None,
    }
}

/// What the rest of the crate can be compiled with, so that only our own errors are shown.
fn without_values(mut item: ItemEnum) -> ItemEnum {
    item.generics = Generics::default();
    for variant in &mut item.variants {
        variant.discriminant = None;
        variant.fields = Fields::Unit;
    }
    item
}

fn contract_error(item: &ItemEnum, codes: &[u32], code: &TokenStream) -> TokenStream {
    let ident = &item.ident;
    let mut json = Json::default();
    for (variant, code) in item.variants.iter().zip(codes) {
        json.comma();
        json.plain(&format!("{{\"code\":{code},\"name\":"));
        json.string(&variant.ident.unraw().to_string());
        json.plain(",\"docs\":");
        json.string(&docs_of(&variant.attrs));
        json.plain("}");
    }
    let names = item.variants.iter().map(|variant| &variant.ident);
    let of_code = names
        .zip(codes)
        .map(|(name, code)| quote!(#code => ::core::option::Option::Some(Self::#name),));
    let (derives, schema) = (derives(&item.attrs, DERIVES, false), json.finish());
    let repr = (!item.variants.is_empty()).then(|| quote!(#[repr(u32)]));
    quote! {
        #derives
        #repr
        #item

        impl ::chancery_contract::ContractError for #ident {
            fn code(&self) -> ::core::primitive::u32 {
                #code
            }

            fn of_code(code: ::core::primitive::u32) -> ::core::option::Option<Self> {
                match code {
                    #(#of_code)*
                    _ => ::core::option::Option::None,
                }
            }

            const SCHEMA: ::chancery_contract::Text = #schema;
        }
    }
}
