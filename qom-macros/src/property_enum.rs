//! `#[derive(PropertyEnum)]`: an enumeration whose values are words.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Path, ext::IdentExt};

use crate::{arguments, base_path, mistakes::Mistakes, names, property_attribute, suggestion};

/// Expands the derive on `input`.
pub(crate) fn expand(mut input: DeriveInput) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let ident = input.ident.clone();
    let (stated_name, stated_base) = read_attribute(&mut input.attrs, true, &mut mistakes);
    let name = match stated_name {
        Some(name) => name.value(),
        None => ident.unraw().to_string(),
    };
    if !input.generics.params.is_empty() {
        mistakes.at(
            &input.generics,
            "an enumeration of words has no use for parameters: leave them out",
        );
    }
    let variants = read_variants(&mut input, &mut mistakes);
    let base = match base_path::find(stated_base.as_ref()) {
        Ok(base) => base,
        Err(error) => {
            mistakes.add(error);
            return mistakes.to_compile_errors();
        }
    };
    let body = if mistakes.is_empty() {
        implementation(&base, &ident, &name, &variants)
    } else {
        stand_in(&base, &ident, &input)
    };
    let errors = mistakes.to_compile_errors();
    quote!(const _: () = { #body }; #errors)
}

/// The variants with the word of each.
fn read_variants(input: &mut DeriveInput, mistakes: &mut Mistakes) -> Vec<(Ident, String)> {
    const HOW: &str = "write `enum Name { Word, OtherWord }`";
    let data = match &mut input.data {
        Data::Enum(data) => data,
        Data::Struct(data) => {
            mistakes.at(data.struct_token, format!("only an enum has words: {HOW}"));
            return Vec::new();
        }
        Data::Union(data) => {
            mistakes.at(data.union_token, format!("only an enum has words: {HOW}"));
            return Vec::new();
        }
    };
    if data.variants.is_empty() {
        mistakes.at(&input.ident, format!("an enumeration has at least one word: {HOW}"));
    }
    let mut variants = Vec::new();
    let mut words: HashMap<String, Ident> = HashMap::new();
    for variant in &mut data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            mistakes.at(
                &variant.fields,
                format!("a word has no fields: write `{}` alone", variant.ident),
            );
        }
        let (stated, _) = read_attribute(&mut variant.attrs, false, mistakes);
        let word = names::choose(
            stated.as_ref(),
            &variant.ident,
            names::of_type(&variant.ident),
            mistakes,
        );
        if let Some(other) = words.insert(word.clone(), variant.ident.clone()) {
            mistakes.at(
                &variant.ident,
                format!(
                    "`{word}` is the word of `{other}` already: write another with \
                     `#[property(name = \"…\")]`"
                ),
            );
        }
        variants.push((variant.ident.clone(), word));
    }
    variants
}

/// `#[property(name = "…")]`, on the enum also `crate = path`.
fn read_attribute(
    attributes: &mut Vec<Attribute>,
    on_enum: bool,
    mistakes: &mut Mistakes,
) -> (Option<LitStr>, Option<Path>) {
    let known: &[&str] = if on_enum { &["name", "crate"] } else { &["name"] };
    let (mut name, mut base) = (None, None);
    let tokens = property_attribute::take_from(attributes, mistakes).unwrap_or_default();
    for argument in arguments::parse(tokens, mistakes) {
        if argument.is("name") {
            name = argument.string(mistakes);
        } else if on_enum && argument.is("crate") {
            base = argument.path("crate = path::to::qom_core", mistakes);
        } else {
            let key = argument.key.unraw().to_string();
            let instead = suggestion::instead(&key, known);
            mistakes.at(&argument.key, format!("there is no key `{key}` here: {instead}"));
        }
    }
    (name, base)
}

fn implementation(
    base: &TokenStream,
    ident: &Ident,
    name: &str,
    variants: &[(Ident, String)],
) -> TokenStream {
    let words: Vec<&String> = variants.iter().map(|(_, word)| word).collect();
    let variants: Vec<&Ident> = variants.iter().map(|(variant, _)| variant).collect();
    quote! {
        const WORDS: &[&str] = &[#(#words),*];

        // The compiler tells an author of the wrong type which types there are for everyone.
        #[diagnostic::do_not_recommend]
        impl #base::PropertyType for #ident {
            fn value_type() -> #base::ValueType {
                #base::ValueType { name: ::std::borrow::Cow::Borrowed(#name), words: WORDS }
            }

            fn from_text(text: &str) -> ::core::result::Result<Self, #base::ValueError> {
                match text {
                    #(#words => ::core::result::Result::Ok(Self::#variants),)*
                    _ => ::core::result::Result::Err(#base::ValueError::Word {
                        given: ::std::string::String::from(text),
                        words: WORDS,
                    }),
                }
            }

            fn from_json(value: &#base::Value) -> ::core::result::Result<Self, #base::ValueError> {
                match value.as_str() {
                    ::core::option::Option::Some(text) => {
                        <Self as #base::PropertyType>::from_text(text)
                    }
                    ::core::option::Option::None => {
                        ::core::result::Result::Err(#base::ValueError::Type {
                            expected: "a string",
                            given: ::std::string::ToString::to_string(value),
                        })
                    }
                }
            }

            fn to_json(&self) -> #base::Value {
                #base::Value::from(match self {
                    #(Self::#variants => #words,)*
                })
            }
        }
    }
}

/// An implementation that an enum with mistakes has all the same, so that these don't cause
/// further errors where it is used.
fn stand_in(base: &TokenStream, ident: &Ident, input: &DeriveInput) -> TokenStream {
    if !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    quote! {
        impl #base::PropertyType for #ident {
            fn value_type() -> #base::ValueType { ::core::unimplemented!() }
            fn from_text(_: &str) -> ::core::result::Result<Self, #base::ValueError> {
                ::core::unimplemented!()
            }
            fn from_json(_: &#base::Value) -> ::core::result::Result<Self, #base::ValueError> {
                ::core::unimplemented!()
            }
            fn to_json(&self) -> #base::Value { ::core::unimplemented!() }
        }
    }
}
