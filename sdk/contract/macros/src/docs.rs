//! The developer's words, and the derives that the developer left to us.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Path, Token};

/// The doc comment up to its first heading, in one line.
pub(crate) fn docs_of(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(doc) = &attribute.meta else {
            return None;
        };
        match &doc.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }) if doc.path.is_ident("doc") => Some(line.value()),
            _ => None,
        }
    });
    let text: Vec<String> = lines.collect();
    let words = text
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| !line.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The derives of `wanted` that `attributes` do not have, and those of the codec.
pub(crate) fn derives(attributes: &[Attribute], wanted: &[&str], codec: bool) -> TokenStream {
    let mut there = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("derive")) {
        let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        for path in paths.into_iter().flatten() {
            there.extend(path.segments.last().map(|last| last.ident.to_string()));
        }
    }
    let missing = wanted
        .iter()
        .filter(|name| there.iter().all(|t| t != *name));
    // By their paths: the developer may have other things of these names.
    let missing = missing.map(|name| {
        let path = match *name {
            "Debug" => quote!(fmt),
            "Clone" => quote!(clone),
            "Copy" => quote!(marker),
            _ => quote!(cmp),
        };
        let name = quote::format_ident!("{name}");
        quote!(::core::#path::#name)
    });
    let codec = codec.then(|| {
        quote! {
            #[derive(
                ::chancery_contract::private::codec::Encode,
                ::chancery_contract::private::codec::Decode,
            )]
            #[codec(crate = ::chancery_contract::private::codec)]
        }
    });
    quote! {
        #[derive(#(#missing),*)]
        #codec
    }
}
