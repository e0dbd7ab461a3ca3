//! The first line of a doc comment, which describes a type or property to its users.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The first line that is not empty; none if there is no doc comment.
pub(crate) fn first_line(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
            _ => None,
        })
        .filter_map(|value| match value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        })
        // A block comment is one attribute with many lines, each perhaps behind a star.
        .flat_map(|text| {
            text.lines()
                .map(|line| line.trim().trim_start_matches('*').trim().to_owned())
                .collect::<Vec<_>>()
        })
        .find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use syn::{ItemStruct, parse_quote};

    use super::first_line;

    #[test]
    fn the_first_line_that_says_something_is_taken() {
        let item: ItemStruct = parse_quote! {
            ///
            /// A serial port.
            /// It has a FIFO.
            struct Serial;
        };
        assert_eq!(first_line(&item.attrs).as_deref(), Some("A serial port."));
    }

    #[test]
    fn a_block_comment_serves_too() {
        let item: ItemStruct = parse_quote! {
            /**
             * A serial port.
             */
            struct Serial;
        };
        assert_eq!(first_line(&item.attrs).as_deref(), Some("A serial port."));
    }

    #[test]
    fn other_attributes_describe_nothing() {
        let item: ItemStruct = parse_quote! {
            #[doc(hidden)]
            #[allow(dead_code)]
            struct Serial;
        };
        assert_eq!(first_line(&item.attrs), None);
    }
}
