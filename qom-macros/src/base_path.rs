//! The path to qom-core's hidden module, from the crate in which a macro is used.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::Path;

/// Packages through which qom-core can be reached, and the path from each of them to it.
const WAYS: [(&str, &str, &[&str]); 3] = [
    ("qom-core", "qom_core", &[]),
    ("device-model", "device_model", &["qom_core"]),
    ("vmm", "vmm", &["device_model", "qom_core"]),
];

/// The path to `qom_core::__private`: through `crate = path` if the author wrote that, else
/// through the first package of [`WAYS`] that is among his dependencies.
pub(crate) fn find(stated: Option<&Path>) -> syn::Result<TokenStream> {
    if let Some(path) = stated {
        return Ok(quote!(#path::__private));
    }
    for (package, library, rest) in WAYS {
        let root = match crate_name(package) {
            Ok(FoundCrate::Name(name)) => name,
            // These crates say `extern crate self as …`, so one path serves their code, tests and
            // documentation.
            Ok(FoundCrate::Itself) => library.to_owned(),
            Err(_) => continue,
        };
        let segments = std::iter::once(root.as_str())
            .chain(rest.iter().copied())
            .map(|segment| Ident::new(segment, Span::call_site()));
        return Ok(quote!(#(::#segments)*::__private));
    }
    Err(syn::Error::new(
        Span::call_site(),
        "qom-core can't be found: add qom-core, device-model or vmm to the dependencies, or say \
         where it is with `crate = path::to::qom_core`",
    ))
}

/// The path with all its tokens at `span`, so that an error about the whole of `path::Item` is shown
/// there and not at the attribute.
pub(crate) fn at(base: &TokenStream, span: Span) -> TokenStream {
    base.clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::find;

    #[test]
    fn a_stated_path_is_taken_as_it_is() {
        let path = parse_quote!(crate::model::qom_core);
        let found = find(Some(&path)).unwrap().to_string();
        assert_eq!(found, "crate :: model :: qom_core :: __private");
    }

    #[test]
    fn a_package_with_none_of_the_three_is_told_what_to_add() {
        // This very package is such a one.
        let error = find(None).unwrap_err().to_string();
        assert!(error.contains("add qom-core, device-model or vmm"), "{error}");
    }
}
