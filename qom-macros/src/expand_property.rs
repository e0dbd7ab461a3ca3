//! What a property becomes: its record, and the value that its field starts with.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, spanned::Spanned};

use crate::{
    arguments, base_path,
    expand_info::{self, Relation},
    property::{Place, Property},
    security::Condition,
};

/// A local of the expansion. It is seen from tokens at whatever span, and by no author's expression.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The local through which a constructor reads its values.
pub(crate) fn construction() -> Ident {
    local("construction")
}

/// One end of a range as a number. A constant may be of a type that has numbers and is none, a
/// `Size`; of what else may stand there the compiler would not know the type.
fn range_end(end: &Expr, base: &TokenStream) -> TokenStream {
    let span = end.span();
    match arguments::ungroup(end) {
        Expr::Path(_) | Expr::Field(_) | Expr::Call(_) | Expr::MethodCall(_) => {
            let base = base_path::at(base, span);
            quote_spanned!(span=> #base::RangeEnd(#end).number())
        }
        _ => quote_spanned!(span=> (#end) as i128),
    }
}

impl Property {
    /// The type of the values, which a live or computed field wraps.
    fn value_type(&self, base: &TokenStream) -> TokenStream {
        let ty = &self.ty;
        if self.attribute.link.is_some() {
            // A link is given by the path of its target.
            quote!(::core::option::Option<::std::string::String>)
        } else if self.attribute.get.is_some() {
            let field = self.as_wrapper(base, "ComputedField");
            quote_spanned!(ty.span()=> #field::Value)
        } else if self.is_live_field() {
            let field = self.as_wrapper(base, "LiveField");
            quote_spanned!(ty.span()=> #field::Value)
        } else {
            quote!(#ty)
        }
    }

    /// `<T as PropertyType>` for the type of the values. At the type, where the compiler says it if
    /// that is no property type.
    fn as_property_type(&self, base: &TokenStream) -> TokenStream {
        let span = self.ty.span();
        let value_type = self.value_type(base);
        let base = base_path::at(base, span);
        quote_spanned!(span=> <#value_type as #base::PropertyType>)
    }

    /// `<F as LiveField>` or the like for the type of the field.
    fn as_wrapper(&self, base: &TokenStream, wrapper: &str) -> TokenStream {
        let Self { ty, .. } = self;
        let span = ty.span();
        let base = base_path::at(base, span);
        let wrapper = Ident::new(wrapper, span);
        quote_spanned!(span=> <#ty as #base::#wrapper>)
    }

    /// The expression that initializes the field, inside a function that returns a
    /// `ConstructError`.
    pub(crate) fn initializer(&self, base: &TokenStream) -> TokenStream {
        let Self { ty, name, attribute, .. } = self;
        let construction = construction();
        let span = ty.span();
        let base = &base_path::at(base, span);
        if !self.is_clear {
            return quote!({
                fn unknown<T>() -> T {
                    ::core::unimplemented!()
                }
                unknown()
            });
        }
        if attribute.get.is_some() {
            return quote!(::core::default::Default::default());
        }
        if let Some(class) = &attribute.link {
            let class = quote_spanned!(class.span()=> dyn #class);
            return quote_spanned!(span=> #base::Construction::link::<#class>(#construction, #name)?);
        }
        let value_type = self.value_type(base);
        let value =
            quote_spanned!(span=> #base::Construction::value::<#value_type>(#construction, #name)?);
        if self.is_live_field() {
            let field = self.as_wrapper(base, "LiveField");
            quote_spanned!(span=> #field::create(#value))
        } else {
            value
        }
    }

    /// The `PropertyInfo`, where `Self` is the type that declares it.
    pub(crate) fn info(&self, base: &TokenStream) -> TokenStream {
        let Self { name, description, attribute, conditions, .. } = self;
        let value_type = self.value_type(base);
        let property_type = self.as_property_type(base);
        let default = self.default(base, &value_type);
        let required = attribute.required;
        let range = match &attribute.range {
            Some(range) => {
                let (least, greatest) =
                    (range_end(&range.least, base), range_end(&range.greatest, base));
                let span = range.span;
                let base = base_path::at(base, span);
                let range = quote_spanned! {span=>
                    #base::range::<#value_type>(#least, #greatest)
                };
                quote!(::core::option::Option::Some(#range))
            }
            None => quote!(::core::option::Option::None),
        };
        let access = if attribute.get.is_some() {
            quote!(Computed)
        } else if attribute.live.is_some() {
            quote!(Live)
        } else {
            quote!(Creation)
        };
        let storage = match self.place {
            Place::Field => self.field_storage(base),
            Place::Class => quote!(#base::Storage::Class),
        };
        let link = match &attribute.link {
            Some(class) => {
                let name = expand_info::name_of(base, class, Relation::Target);
                quote!(::core::option::Option::Some(#name))
            }
            None => quote!(::core::option::Option::None),
        };
        let statements = self.statements(base);
        let deprecated = expand_info::optional(attribute.deprecated.as_ref());
        let unstable = attribute.unstable;
        let span = self.ty.span();
        let at_type = base_path::at(base, span);
        let check = quote_spanned!(span=> #at_type::check::<#value_type>);
        quote! {
            #(#conditions)*
            #base::PropertyInfo {
                name: #name,
                description: #description,
                value_type: #property_type::value_type,
                default: #default,
                required: #required,
                range: #range,
                access: #base::Access::#access,
                storage: #storage,
                link: #link,
                insecure: &[#(#statements),*],
                deprecated: #deprecated,
                unstable: #unstable,
                check: #check,
            }
        }
    }

    fn default(&self, base: &TokenStream, value_type: &TokenStream) -> TokenStream {
        let attribute = &self.attribute;
        let property_type = self.as_property_type(base);
        // What was not written may be what could not be read.
        let unread = self.mistaken && attribute.default.is_none();
        if attribute.required || attribute.get.is_some() || unread {
            return quote!(::core::option::Option::None);
        }
        let value = match &attribute.default {
            Some(default) => self.canonical(default, base),
            None => {
                let span = self.ty.span();
                let default = quote_spanned!(span=>
                    <#value_type as ::core::default::Default>::default()
                );
                quote_spanned!(span=> #property_type::to_json(&#default))
            }
        };
        quote!(::core::option::Option::Some(|| #value))
    }

    /// The canonical form of an expression of the property's type. A string literal serves for a
    /// `String`.
    fn canonical(&self, expression: &Expr, base: &TokenStream) -> TokenStream {
        let is_text =
            matches!(arguments::ungroup(expression), Expr::Lit(ExprLit { lit: Lit::Str(_), .. }));
        let span = expression.span();
        let given = if is_text && arguments::is_named(self.innermost_type(), "String") {
            quote_spanned!(span=> ::std::string::String::from(#expression))
        } else {
            quote!(#expression)
        };
        self.canonical_of(span, &given, base)
    }

    /// The same for any tokens; that they are of the property's type is judged at `span`.
    fn canonical_of(&self, span: Span, given: &TokenStream, base: &TokenStream) -> TokenStream {
        let value = local("value");
        let value_type = self.value_type(base);
        let property_type = self.as_property_type(base);
        let coerced = quote_spanned!(span=> let #value: #value_type = #given;);
        let json = quote_spanned!(self.ty.span()=> #property_type::to_json(&#value));
        quote!({ #coerced #json })
    }

    fn field_storage(&self, base: &TokenStream) -> TokenStream {
        let Self { ident, ty, attribute, .. } = self;
        let (object, value) = (local("object"), local("value"));
        let span = ty.span();
        let property_type = self.as_property_type(base);
        let field = self.as_wrapper(base, "LiveField");
        let read = if let Some(class) = &attribute.link {
            quote_spanned!(span=> #base::link_value::<dyn #class>(&#object.#ident))
        } else if let Some(method) = &attribute.get {
            let span = method.span();
            let computed = quote_spanned!(span=> (#method)(#object));
            let computed = self.canonical_of(span, &computed, base);
            // The field is no more than the place of the attribute; this is its use.
            quote!({ let _ = &#object.#ident; #computed })
        } else if self.is_live_field() {
            quote_spanned!(span=> #property_type::to_json(&#field::read(&#object.#ident)))
        } else {
            quote_spanned!(span=> #property_type::to_json(&#object.#ident))
        };
        let set = if self.is_live_field() {
            let write = quote_spanned! {span=>
                #field::write(&#object.#ident, #property_type::from_json(#value)?);
            };
            quote!(::core::option::Option::Some(
                |#object: &dyn #base::Any, #value: &#base::Value|
                    -> ::core::result::Result<(), #base::ValueError>
                {
                    let #object = #base::downcast::<Self>(#object)?;
                    #write
                    ::core::result::Result::Ok(())
                }
            ))
        } else {
            quote!(::core::option::Option::None)
        };
        quote! {
            #base::Storage::Field {
                get: |#object: &dyn #base::Any| -> ::core::option::Option<#base::Value> {
                    #object.downcast_ref::<Self>().map(|#object| #read)
                },
                set: #set,
            }
        }
    }

    fn statements(&self, base: &TokenStream) -> Vec<TokenStream> {
        self.attribute
            .statements
            .iter()
            .map(|statement| {
                let condition = match &statement.condition {
                    Condition::NotDefault => quote!(NotDefault),
                    Condition::When(path) => {
                        let judge = local("judge");
                        let judge = quote_spanned! {path.span()=> {
                            let #judge: fn(
                                &#base::Configuration<'_>
                            ) -> ::core::result::Result<bool, #base::PlanError> = #path;
                            #judge
                        }};
                        quote!(When(#judge))
                    }
                    Condition::Values(values) => {
                        let values = values.iter().map(|value| self.canonical(value, base));
                        quote!(Values(|| ::std::vec::Vec::from([#(#values),*])))
                    }
                };
                let reason = &statement.reason;
                quote!(#base::InsecureStatement {
                    condition: #base::InsecureCondition::#condition,
                    reason: #reason,
                })
            })
            .collect()
    }
}
