//! `#[contract]`: from a plain `impl` to exports and a schema.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Pat, Path, Stmt, Token, Type, bracketed,
    parse_quote,
};

use crate::access;
use crate::docs::docs_of;
use crate::method::{Kind, Method, mark, method};
use crate::mistakes::Mistakes;
use crate::schema::Json;

/// `access, events = [Granted, Revoked]`
#[derive(Default)]
struct Args {
    events: Option<Vec<Path>>,
    /// The word itself.
    access: Option<Ident>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            let name = Ident::parse_any(input)?;
            if name == "access" && args.access.is_none() {
                args.access = Some(name);
            } else if name == "events" && args.events.is_none() {
                if !input.peek(Token![=]) {
                    return Err(syn::Error::new(
                        name.span(),
                        "the events are a list: write `events = [Granted, Revoked]`",
                    ));
                }
                input.parse::<Token![=]>()?;
                let list;
                bracketed!(list in input);
                let paths = Punctuated::<Path, Token![,]>::parse_terminated(&list)?;
                args.events = Some(paths.into_iter().collect());
            } else {
                return Err(syn::Error::new(
                    name.span(),
                    "`#[contract]` takes `access` and one list, `events = [Granted, Revoked]`",
                ));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let args: Args = syn::parse2(args).unwrap_or_else(|error| {
        mistakes.add(error);
        Args::default()
    });
    let mut item: ItemImpl = match syn::parse2(item) {
        Ok(Item::Impl(item)) => item,
        Ok(other) => {
            mistakes.first(
                &other,
                "`#[contract]` stands above the `impl` with the methods",
            );
            let errors = mistakes.shown();
            return quote!(#errors #other);
        }
        Err(error) => return error.to_compile_error(),
    };
    let name = name_of(&item, &mut mistakes);
    let events = args.events.unwrap_or_default();
    judge_events(&events, &mut mistakes);
    let methods = methods_of(&mut item, &mut mistakes);
    if let Some(access) = &args.access {
        access::judge(access, &methods, &mut mistakes);
    }
    match (mistakes.shown(), name) {
        (None, Some(name)) => {
            let contract = Contract {
                self_type: (*item.self_ty).clone(),
                name,
                docs: docs_of(&item.attrs),
                events,
                access: args.access.is_some(),
                methods,
            };
            let (schema, exports) = (contract.schema(), contract.exports());
            let native = contract.native();
            for function in &mut item.items {
                if let ImplItem::Fn(function) = function {
                    let method = contract
                        .methods
                        .iter()
                        .find(|m| m.ident == function.sig.ident);
                    if let Some(method) = method {
                        begin_native(method, function);
                    }
                }
            }
            quote!(#item #schema #exports #native)
        }
        (errors, _) => quote!(#errors #item),
    }
}

/// The name of the contract, which is that of its type.
fn name_of(item: &ItemImpl, mistakes: &mut Mistakes) -> Option<String> {
    if let Some((_, path, _)) = &item.trait_ {
        mistakes.at(
            path,
            "`#[contract]` stands above a plain `impl`, without a trait",
        );
    }
    if !item.generics.params.is_empty() {
        mistakes.at(
            &item.generics.params,
            "a contract is one module: write concrete types",
        );
    }
    let last = match &*item.self_ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    if last.is_none() {
        mistakes.at(
            &item.self_ty,
            "a contract is a type of its own: `pub struct DataAccess;`",
        );
    }
    last.map(|last| last.ident.unraw().to_string())
}

fn judge_events(events: &[Path], mistakes: &mut Mistakes) {
    for (index, event) in events.iter().enumerate() {
        if events.iter().take(index).any(|other| other == event) {
            mistakes.at(event, "this event is listed already: remove it");
        }
    }
}

fn methods_of(item: &mut ItemImpl, mistakes: &mut Mistakes) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut kinds = Vec::new();
    for function in &mut item.items {
        let ImplItem::Fn(function) = function else {
            continue;
        };
        let name = &function.sig.ident;
        let Some(kind) = mark(&mut function.attrs, mistakes) else {
            if name == "init" || name == "migrate" {
                mistakes.at(
                    name,
                    format!(
                        "`{name}` is reserved: mark it with `#[{name}]`, or give the function \
                         another name"
                    ),
                );
            }
            continue;
        };
        match kind {
            Kind::Init if kinds.contains(&kind) => {
                mistakes.at(name, "a contract is deployed once: keep one `#[init]`");
            }
            Kind::Migrate if kinds.contains(&kind) => mistakes.at(
                name,
                "an upgrade runs one `#[migrate]`: keep the one that reads what stands in the \
                 storage now",
            ),
            _ => {}
        }
        kinds.push(kind);
        methods.extend(method(kind, &function.attrs, &function.sig, mistakes));
    }
    if kinds.is_empty() {
        mistakes.at(
            &item.self_ty,
            "the contract has no methods: mark functions with `#[init]`, `#[call]`, `#[view]` or \
             `#[migrate]`",
        );
    }
    methods
}

/// A name that no name of the developer can be mistaken for.
fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What a test has to know before the method's own words: a compiled module may answer in their
/// place, and what the test calls itself is judged as the ledger judges it.
fn begin_native(method: &Method, function: &mut ImplItemFn) {
    let Some(FnArg::Typed(first)) = function.sig.inputs.first_mut() else {
        return;
    };
    let env = match &*first.pat {
        Pat::Ident(env) => env.ident.clone(),
        _ => {
            let env = own("env");
            *first.pat = parse_quote!(#env);
            env
        }
    };
    let (ident, name) = (&method.ident, method.name());
    let names: Vec<&Ident> = method.args.iter().map(|(name, _)| name).collect();
    let returns = method.returns();
    let [args, ending, outcome] = ["args", "ending", "outcome"].map(own);
    let from_outside = method.kind.only_reads().then(|| {
        quote! {
            ::chancery_contract::private::Entered::FromOutside => {
                return ::chancery_contract::private::judged(
                    &*#env,
                    Self::#ident(#env, #(#names),*),
                    |#outcome| (&::chancery_contract::private::Return::<#returns>::TYPE).end(#outcome),
                );
            }
        }
    });
    // Nothing here asks for a trait: what is wrong with a type is told once, by the checks.
    let first: Stmt = parse_quote! {
        #[cfg(not(target_arch = "wasm32"))]
        {
            #[allow(unused_imports, reason = "each is for other types")]
            use ::chancery_contract::private::{
                AnyArg as _, AnyReturn as _, EncodedArg as _, OutcomeReturn as _,
            };
            match ::chancery_contract::private::enter(
                &*#env,
                <Self as ::chancery_contract::Contract>::NATIVE,
                #name,
                |#args| {
                    #((&::chancery_contract::private::Arg(&#names)).add_to(#args);)*
                },
            ) {
                ::chancery_contract::private::Entered::InModule(#ending) => {
                    return (&::chancery_contract::private::Return::<#returns>::TYPE).of(#ending);
                }
                #from_outside
                _ => {}
            }
        }
    };
    function.block.stmts.insert(0, first);
}

fn error_of(returns: Option<&Type>) -> TokenStream {
    match returns {
        Some(returns) => {
            quote_spanned!(returns.span()=> <#returns as ::chancery_contract::Outcome>::Error)
        }
        None => quote!(::chancery_contract::Never),
    }
}

struct Contract {
    self_type: Type,
    name: String,
    docs: String,
    events: Vec<Path>,
    /// Whether it has the standard access interface.
    access: bool,
    methods: Vec<Method>,
}

impl Contract {
    /// The error type of the first method that may refuse.
    fn error(&self) -> TokenStream {
        let first = self.methods.iter().find(|method| method.returns_result());
        error_of(first.and_then(|first| first.returns.as_ref()))
    }

    /// What must hold on every target: each method is what its words say, and there is one error.
    fn checks(&self) -> TokenStream {
        let error = self.error();
        let checks = self.methods.iter().map(|method| {
            let (env, returns) = (&method.env, &method.returns);
            let same_env = quote_spanned! {env.span()=>
                ::chancery_contract::private::is_env::<#env>();
            };
            let own = error_of(returns.as_ref());
            let one_error = match method.returns_result() {
                true => quote_spanned! {returns.span()=>
                    ::chancery_contract::private::same_error::<#own, #error>();
                },
                false => quote_spanned! {returns.span()=>
                    ::chancery_contract::private::no_error::<#own>();
                },
            };
            quote!(#same_env #one_error)
        });
        let access = self.access.then(|| access::checks(&self.methods));
        quote!(#(#checks)* #access)
    }

    fn json(&self) -> TokenStream {
        let mut json = Json::default();
        json.plain("{\"name\":");
        json.string(&self.name);
        json.plain(",\"docs\":");
        json.string(&self.docs);
        json.plain(",\"methods\":[");
        for method in &self.methods {
            json.comma();
            json.plain("{\"name\":");
            json.string(&method.name());
            json.plain(&format!(",\"kind\":\"{}\",\"docs\":", method.kind.name()));
            json.string(&method.docs);
            json.plain(",\"args\":[");
            for (name, kind) in &method.args {
                json.field(&name.unraw().to_string(), kind);
            }
            json.plain("]");
            if let Some(returns) = &method.returns {
                json.constant(quote_spanned! {returns.span()=>
                    ::chancery_contract::private::returns_schema::<#returns>()
                });
            }
            json.plain("}");
        }
        json.plain("],\"events\":[");
        for event in &self.events {
            json.comma();
            json.constant(quote_spanned! {event.span()=>
                ::chancery_contract::private::event_schema::<#event>()
            });
        }
        let error = self.error();
        json.plain("],\"errors\":[");
        json.constant(quote!(::chancery_contract::private::errors_schema::<#error>()));
        json.plain("]}");
        json.finish()
    }

    fn schema(&self) -> TokenStream {
        let (self_type, json, checks) = (&self.self_type, self.json(), self.checks());
        quote! {
            const _: () = {
                // The checks stand here so that what is wrong with a type is told once.
                const TEXT: ::chancery_contract::Text = {
                    #checks
                    #json
                };
                const BYTES: [::core::primitive::u8; TEXT.len()] = TEXT.to_bytes();

                impl #self_type {
                    /// The contract's schema, as JSON.
                    pub const SCHEMA: &'static ::core::primitive::str = match ::core::str::from_utf8(&BYTES) {
                        ::core::result::Result::Ok(text) => text,
                        ::core::result::Result::Err(_) => ::core::panic!("made of text"),
                    };
                }

                #[cfg(target_arch = "wasm32")]
                #[allow(unsafe_code, reason = "a custom section is how a module carries its schema")]
                #[unsafe(link_section = "chancery.schema")]
                static SECTION: [::core::primitive::u8; TEXT.len()] = BYTES;
            };
        }
    }

    fn exports(&self) -> TokenStream {
        let self_type = &self.self_type;
        let exports = self.methods.iter().map(|method| {
            let export = match method.kind {
                Kind::Init | Kind::Migrate => method.kind.name().to_owned(),
                Kind::Call | Kind::View => format!("{}.{}", method.kind.name(), method.name()),
            };
            let ident = &method.ident;
            let types = method.types();
            let names = names(&types);
            let env = own("env");
            quote! {
                #[cfg(target_arch = "wasm32")]
                const _: () = {
                    #[allow(unsafe_code, reason = "an export is found by its name")]
                    #[unsafe(export_name = #export)]
                    extern "C" fn export() {
                        ::chancery_contract::dispatch(|#env, (#(#names,)*): (#(#types,)*)| {
                            <#self_type>::#ident(#env, #(#names),*)
                        })
                    }
                };
            }
        });
        quote!(#(#exports)*)
    }

    /// What the ledger of a native test runs.
    fn native(&self) -> TokenStream {
        let (self_type, name) = (&self.self_type, &self.name);
        let by_the_ledger = |kind| {
            let method = self.methods.iter().find(|method| method.kind == kind);
            match method.map(|method| self.run(method, &quote!(env_mut))) {
                Some(run) => quote!(::core::option::Option::Some(#run)),
                None => quote!(::core::option::Option::None),
            }
        };
        let [init, migrate] = [Kind::Init, Kind::Migrate].map(by_the_ledger);
        let called = self
            .methods
            .iter()
            .filter(|method| matches!(method.kind, Kind::Call | Kind::View));
        let methods = called.map(|method| {
            let name = method.name();
            let (kind, env_of) = match method.kind.only_reads() {
                true => (quote!(View), quote!(env)),
                false => (quote!(Call), quote!(env_mut)),
            };
            let run = self.run(method, &env_of);
            quote! {
                ::chancery_contract::private::NativeMethod {
                    name: #name,
                    run: ::chancery_contract::private::Run::#kind(#run),
                }
            }
        });
        let events = &self.events;
        quote! {
            #[cfg(not(target_arch = "wasm32"))]
            const _: () = {
                #[allow(unused_imports, reason = "each is for other types")]
                use ::chancery_contract::private::{
                    AnyArgs as _, AnyListed as _, AnyReturn as _, EventListed as _,
                    OutcomeReturn as _, SomeArgs as _,
                };

                impl ::chancery_contract::Contract for #self_type {
                    const NATIVE: ::chancery_contract::private::Native =
                        ::chancery_contract::private::Native {
                            id: ::core::any::TypeId::of::<#self_type>(),
                            name: #name,
                            init: #init,
                            migrate: #migrate,
                            methods: &[#(#methods),*],
                            events: &[
                                #(|| (&::chancery_contract::private::Listed::<#events>::TYPE).topic()),*
                            ],
                        };
                }
            };
        }
    }

    /// A function that runs a method with the bytes of its arguments; `env_of` hands it the `Env`.
    fn run(&self, method: &Method, env_of: &TokenStream) -> TokenStream {
        let (self_type, ident, returns) = (&self.self_type, &method.ident, method.returns());
        let types = method.types();
        let names = names(&types);
        let [env, args, ending] = ["env", "args", "ending"].map(own);
        quote! {
            |#env, #args| {
                match (&::chancery_contract::private::Args::<(#(#types,)*)>::TYPES).of(#args) {
                    ::core::result::Result::Ok((#(#names,)*)) => {
                        (&::chancery_contract::private::Return::<#returns>::TYPE).end(
                            &<#self_type>::#ident(
                                ::chancery_contract::private::#env_of(#env),
                                #(#names),*
                            ),
                        )
                    }
                    ::core::result::Result::Err(#ending) => #ending,
                }
            }
        }
    }
}

/// A name for each argument, whatever the developer calls it.
fn names(types: &[&Type]) -> Vec<Ident> {
    let numbers = 0..types.len();
    numbers.map(|number| own(&format!("arg{number}"))).collect()
}
