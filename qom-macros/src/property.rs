//! One property of an item: what its attribute, its Rust name and its type say together.

use std::collections::HashMap;

use proc_macro2::Ident;
use syn::{Attribute, Type};

use crate::{
    arguments, doc_comment, literal,
    mistakes::Mistakes,
    names,
    property_attribute::{self, PropertyAttribute},
};

/// Where an instance keeps a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a field of the struct.
    Field,
    /// Beside the struct, because a class declares it.
    Class,
}

/// One property.
#[derive(Debug)]
pub(crate) struct Property {
    /// The field or method.
    pub(crate) ident: Ident,
    /// The field's type, or what the method returns.
    pub(crate) ty: Type,
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) attribute: PropertyAttribute,
    /// Conditions on which it exists.
    pub(crate) conditions: Vec<Attribute>,
    /// Whether a mistake was found in it. What is left out may be what could not be read.
    pub(crate) mistaken: bool,
    /// Whether it is known what kind of property of which type it is. If not, nothing of it is
    /// emitted.
    pub(crate) is_clear: bool,
}

impl Property {
    /// Reads the property that `attributes` declare, and takes its attribute away; none if they
    /// declare none.
    pub(crate) fn take(
        ident: &Ident,
        ty: &Type,
        place: Place,
        attributes: &mut Vec<Attribute>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let tokens = property_attribute::take_from(attributes, mistakes)?;
        let before = mistakes.count();
        let attribute = PropertyAttribute::read(tokens, mistakes);
        let name =
            names::choose(attribute.name.as_ref(), ident, names::of_property(ident), mistakes);
        let description = attribute
            .description
            .as_ref()
            .map(syn::LitStr::value)
            .or_else(|| doc_comment::first_line(attributes));
        if description.is_none() {
            mistakes.at(
                ident,
                format!(
                    "`{ident}` lacks its description: write a `///` line above it, or \
                     `description = \"…\"`"
                ),
            );
        }
        let mut property = Self {
            ident: ident.clone(),
            ty: ty.clone(),
            place,
            name,
            description: description.unwrap_or_default(),
            attribute,
            conditions: conditions(attributes),
            mistaken: false,
            is_clear: true,
        };
        let of_attribute = mistakes.count();
        property.check_type(mistakes);
        property.is_clear = mistakes.count() == of_attribute && !property.attribute.contradictory;
        if property.is_clear {
            let ty = property.innermost_type().clone();
            property.attribute.check_literals(&ty, mistakes);
        }
        property.mistaken = mistakes.count() > before;
        Some(property)
    }

    /// Whether it is a field of type `Live<T>`.
    pub(crate) fn is_live_field(&self) -> bool {
        self.attribute.live.is_some() && self.place == Place::Field
    }

    /// `T` for a field of type `Live<T>`.
    pub(crate) fn innermost_type(&self) -> &Type {
        if self.is_live_field() {
            literal::argument(&self.ty).unwrap_or(&self.ty)
        } else {
            &self.ty
        }
    }

    /// Notes a type that does not fit the keys, as far as its spelling tells. The compiler judges
    /// what is left, such as aliases.
    fn check_type(&self, mistakes: &mut Mistakes) {
        let Self { ty, attribute, .. } = self;
        let spelled = quote::quote!(#ty).to_string().replace(' ', "");
        let wrappers = [
            ("Live", attribute.has("live"), "live"),
            ("Computed", attribute.has("get"), "get = Self::method"),
            ("Link", attribute.has("link"), "link = dyn Trait"),
        ];
        for (wrapper, stated, key) in wrappers {
            let wrapped = arguments::is_named(ty, wrapper);
            match self.place {
                Place::Field if wrapped && !stated => mistakes.at(
                    ty,
                    format!("a `{wrapper}<_>` is for another kind of property: write `{key}` too"),
                ),
                Place::Field if stated && is_plain(ty) => mistakes.at(
                    ty,
                    format!(
                        "with `{key}` the field is a `{wrapper}<_>`: write `{}`, or leave `{}` out",
                        if wrapper == "Link" {
                            "Link<dyn Trait>".to_owned()
                        } else {
                            format!("{wrapper}<{spelled}>")
                        },
                        key.split(' ').next().unwrap_or(key),
                    ),
                ),
                Place::Class if wrapped => mistakes.at(
                    ty,
                    format!(
                        "a class keeps no `{wrapper}<_>`: return {}",
                        if wrapper == "Link" {
                            "`Option<Arc<dyn Trait>>`"
                        } else {
                            "the plain type of the values"
                        }
                    ),
                ),
                Place::Field | Place::Class => {}
            }
        }
    }
}

/// Whether a type is spelled like one of values, so that it is no `Live`, `Computed` or `Link`.
fn is_plain(ty: &Type) -> bool {
    [
        "bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "usize", "isize", "String",
        "Option", "Size", "Vec",
    ]
    .iter()
    .any(|name| arguments::is_named(ty, name))
}

/// The `#[cfg(…)]`s among the attributes.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// Notes properties of one item that share a name, at each but the first.
pub(crate) fn check_unique(properties: &[Property], mistakes: &mut Mistakes) {
    let mut first: HashMap<&str, &Ident> = HashMap::new();
    for property in properties {
        // Under exclusive conditions, two fields may well be one property.
        if !property.conditions.is_empty() {
            continue;
        }
        if let Some(other) = first.get(property.name.as_str()) {
            let message = format!(
                "the property `{}` is declared by `{other}` already: write another `name = \"…\"`",
                property.name
            );
            match &property.attribute.name {
                Some(name) => mistakes.at(name, message),
                None => mistakes.at(&property.ident, message),
            }
        } else {
            first.insert(&property.name, &property.ident);
        }
    }
}
