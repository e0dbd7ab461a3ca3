//! What every type becomes: its record, and the registration of that.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Path, spanned::Spanned};

use crate::{
    base_path,
    property::Property,
    type_attribute::{Status, TypeAttribute},
};

/// What a record needs beside the attribute.
pub(crate) struct Declaration<'a> {
    /// The item; its line is the line of the statement.
    pub(crate) ident: &'a Ident,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) attribute: &'a TypeAttribute,
    /// An expression of type `TypeKind`.
    pub(crate) kind: TokenStream,
    /// Name of the parent.
    pub(crate) parent: TokenStream,
    pub(crate) properties: &'a [Property],
}

/// The implementation of `ClassType` for `implementor`, and its registration.
pub(crate) fn class_type(
    base: &TokenStream,
    implementor: &TokenStream,
    declaration: &Declaration<'_>,
) -> TokenStream {
    let Declaration { ident, name, description, attribute, kind, parent, properties } = declaration;
    let interfaces = attribute.interfaces.iter().map(|class| name_of(base, Some(class)));
    let boundaries = &attribute.boundaries;
    let status = match &attribute.status {
        Status::Secure => quote!(Secure),
        Status::Insecure(reason) => quote!(Insecure { reason: #reason }),
        Status::Undeclared => quote!(Undeclared),
    };
    let category = optional(attribute.category.as_ref());
    let deprecated = optional(attribute.deprecated.as_ref());
    let class_data = optional(attribute.class_data.as_ref().map(|path| quote!(&#path)));
    let unstable = attribute.unstable;
    let properties = properties.iter().map(|property| property.info(base));
    let line = quote_spanned!(ident.span()=> ::core::line!());
    quote! {
        impl #base::ClassType for #implementor {
            const NAME: &'static str = #name;

            const INFO: &'static #base::TypeInfo = &#base::TypeInfo {
                name: #name,
                description: #description,
                kind: #kind,
                parent: ::core::option::Option::Some(#parent),
                interfaces: &[#(#interfaces),*],
                status: #base::SecurityStatus::#status,
                boundaries: #base::Boundaries::of(&[#(#base::Boundary::#boundaries),*]),
                category: #category,
                deprecated: #deprecated,
                unstable: #unstable,
                properties: &[#(#properties),*],
                class_data: #class_data,
                statement: #base::Statement {
                    crate_name: ::core::env!("CARGO_PKG_NAME"),
                    crate_version: ::core::env!("CARGO_PKG_VERSION"),
                    file: ::core::file!(),
                    line: #line,
                },
            };
        }

        #base::inventory::submit! {
            #base::Registration(<#implementor as #base::ClassType>::INFO)
        }
    }
}

/// The name of a class, as a constant. What is no class is an error where it is written.
pub(crate) fn name_of(base: &TokenStream, class: Option<&Path>) -> TokenStream {
    // An item without a mistake has a parent.
    let Some(class) = class else {
        return TokenStream::new();
    };
    let span = class.span();
    let base = base_path::at(base, span);
    quote_spanned!(span=> <dyn #class as #base::ClassType>::NAME)
}

/// Uses the classes that an item with mistakes names, so that their imports are not called unused.
pub(crate) fn uses(attribute: &TypeAttribute) -> TokenStream {
    let classes = attribute.parent.iter().chain(&attribute.interfaces);
    quote!(fn __uses(#(_: &dyn #classes),*) {})
}

/// Wraps what is emitted for an item, so that none of its names is seen outside.
pub(crate) fn enclose(body: &TokenStream) -> TokenStream {
    quote! {
        // `dead_code`: a class may have no descendants in its own crate.
        // `non_local_definitions`: an item in a function is as good as any other. The rest is
        // about code that the author did not write.
        #[allow(
            dead_code,
            non_local_definitions,
            unused_parens,
            clippy::unnecessary_cast,
            clippy::cast_lossless,
            clippy::default_trait_access,
            clippy::useless_conversion
        )]
        const _: () = { #body };
    }
}

fn optional<T: quote::ToTokens>(value: Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
