//! Attribute macros that make a Rust struct or trait a type of the object model.

mod arguments;
mod base_path;
mod doc_comment;
mod dyn_compatibility;
mod expand_info;
mod expand_property;
mod item;
mod item_struct;
mod item_trait;
mod mistakes;
mod names;
mod property;
mod property_attribute;
mod property_enum;
mod security;
mod suggestion;
mod type_attribute;

use proc_macro::TokenStream;

/// Makes a struct a concrete type, or a trait an abstract class.
#[proc_macro_attribute]
pub fn qom_type(attribute: TokenStream, item: TokenStream) -> TokenStream {
    item::qom_type(attribute.into(), item.into()).into()
}

/// Makes a trait an interface.
#[proc_macro_attribute]
pub fn qom_interface(attribute: TokenStream, item: TokenStream) -> TokenStream {
    item::qom_interface(attribute.into(), item.into()).into()
}

/// Makes an enum without fields the type of a property whose values are words.
#[proc_macro_derive(PropertyEnum, attributes(property))]
pub fn property_enum(input: TokenStream) -> TokenStream {
    property_enum::expand(syn::parse_macro_input!(input)).into()
}
