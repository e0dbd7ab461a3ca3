//! Which item an attribute stands on, and the mistake if it stands on another than it can.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

use crate::{item_struct, item_trait, mistakes::Mistakes, type_attribute::Subject};

/// Expands `#[qom_type(tokens)]` on `item`.
pub(crate) fn qom_type(tokens: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(Item::Struct(item)) => item_struct::expand(tokens, item),
        Ok(Item::Trait(item)) => item_trait::expand(tokens, Subject::Class, item),
        Ok(other) => refuse(
            &other,
            "`#[qom_type]` goes on a struct (a concrete type) or on a trait (an abstract class)",
        ),
        Err(error) => unreadable(&item, &error),
    }
}

/// Expands `#[qom_interface(tokens)]` on `item`.
pub(crate) fn qom_interface(tokens: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2(item.clone()) {
        Ok(Item::Trait(item)) => item_trait::expand(tokens, Subject::Interface, item),
        Ok(other) => refuse(&other, "`#[qom_interface]` goes on a trait"),
        Err(error) => unreadable(&item, &error),
    }
}

fn refuse(item: &Item, message: &str) -> TokenStream {
    let mut mistakes = Mistakes::default();
    match item {
        Item::Struct(item) => mistakes.at(&item.ident, message),
        Item::Enum(item) => mistakes.at(&item.ident, message),
        Item::Union(item) => mistakes.at(&item.ident, message),
        Item::Fn(item) => mistakes.at(&item.sig.ident, message),
        Item::Impl(item) => mistakes.at(item.impl_token, message),
        Item::Mod(item) => mistakes.at(&item.ident, message),
        Item::Type(item) => mistakes.at(&item.ident, message),
        other => mistakes.at(other, message),
    }
    let errors = mistakes.to_compile_errors();
    quote!(#item #errors)
}

/// The compiler says what is wrong with the item better than we can; ours says it only for an item
/// that the compiler can read.
fn unreadable(item: &TokenStream, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#item #error)
}
